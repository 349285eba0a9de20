# pip install grpcio grpcio-tools
# python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. proto/tokenbroker/v1/*.proto
import grpc, os
from tokenbroker.v1 import lease_service_pb2 as pb, lease_service_pb2_grpc, lease_pb2, purpose_pb2

channel = <channel>
leases = lease_service_pb2_grpc.LeaseServiceStub(channel)
key = [("authorization", "Bearer " + os.environ["TOKEN_BROKER_KEY"])]

lease = leases.AcquireLease(pb.AcquireLeaseRequest(
    team="teams/<team>", network="networks/<network>", operation="<operation>",
    calls=10, purpose=purpose_pb2.PURPOSE_<purpose>), metadata=key, timeout=10).lease
# ... call the network with lease.access_token, at most 10 times and before lease.use_by ...
leases.ReleaseLease(pb.ReleaseLeaseRequest(
    lease=lease.name, sequence=1, calls=lease_pb2.CallCounts(ok=10)), metadata=key, timeout=10)
