"""A whole lease life with Python's grpcio and nothing of ours but the proto files.

Arguments: the broker's address, the folder of generated stubs. The environment holds ADMIN_KEY.
Prints one JSON object of what it saw; any surprise is an exception.
"""

import json
import os
import sys

import grpc

ADDRESS, STUBS = sys.argv[1:]
sys.path.insert(0, STUBS)

from tokenbroker.v1 import audit_service_pb2_grpc, audit_service_pb2 as audit  # noqa: E402
from tokenbroker.v1 import key_service_pb2_grpc, key_service_pb2 as keys  # noqa: E402
from tokenbroker.v1 import lease_pb2, lease_service_pb2_grpc, lease_service_pb2 as leases  # noqa: E402
from tokenbroker.v1 import purpose_pb2, team_pb2, team_service_pb2_grpc, team_service_pb2 as teams  # noqa: E402
from tokenbroker.v1 import token_pb2, token_service_pb2_grpc, token_service_pb2 as tokens  # noqa: E402

DEADLINE = 60
SCOPES = ["tweet.read", "users.read", "like.read", "list.read", "offline.access"]


def as_caller(key):
    return {"metadata": [("authorization", f"Bearer {key}")], "timeout": DEADLINE}


def prepare(channel, admin):
    """Makes a team, a collector with a key, and a token. Returns the collector's key and the token's name."""
    team = team_service_pb2_grpc.TeamServiceStub(channel)
    team.CreateTeam(teams.CreateTeamRequest(team_id="acme"), **admin)
    collector = team_pb2.Collector(
        display_name="crawler", networks=["networks/x"], purposes=[purpose_pb2.PURPOSE_COLLECT_CONTENT]
    )
    collector = team.CreateCollector(
        teams.CreateCollectorRequest(parent="teams/acme", collector=collector), **admin
    ).collector
    key = keys.Key(role=keys.KEY_ROLE_COLLECTOR, collector=collector.name)
    key = key_service_pb2_grpc.KeyServiceStub(channel).CreateKey(keys.CreateKeyRequest(key=key), **admin)
    token = token_pb2.Token(network="networks/x", kind="user", person="ann", scopes=SCOPES)
    secrets = token_pb2.TokenSecrets(access_token="access-of-ann", refresh_token="refresh-of-ann")
    added = token_service_pb2_grpc.TokenServiceStub(channel).AddToken(
        tokens.AddTokenRequest(parent="teams/acme", token=token, secrets=secrets), **admin
    )
    return key.secret, added.token.name


def acquire(**fields):
    wanted = {
        "team": "teams/acme",
        "network": "networks/x",
        "operation": "tweets.search_recent",
        "calls": 10,
        "purpose": purpose_pb2.PURPOSE_COLLECT_CONTENT,
    }
    return leases.AcquireLeaseRequest(**{**wanted, **fields})


def unary(stub, caller):
    """Acquire, report with a top-up, extend, release, look again."""
    lease = stub.AcquireLease(acquire(collection="brand-watch", request_id="once"), **caller).lease
    again = stub.AcquireLease(acquire(collection="brand-watch", request_id="once"), **caller).lease
    assert again.name == lease.name, "a retry takes no second lease"
    assert lease.access_token == "access-of-ann", "the lease holds the token"
    answer = lease_pb2.NetworkAnswer(
        http_status=200, headers=[lease_pb2.Header(name="x-rate-limit-remaining", value="280")]
    )
    report = stub.ReportUsage(
        leases.ReportUsageRequest(
            lease=lease.name, sequence=1, calls=lease_pb2.CallCounts(ok=8), answer=answer, want_calls=5
        ),
        **caller,
    )
    assert (report.calls_granted, report.calls_left) == (5, 7), report
    assert report.verdict == lease_pb2.VERDICT_KEEP, report
    stub.ExtendLease(leases.ExtendLeaseRequest(lease=lease.name, ttl={"seconds": 600}), **caller)
    released = stub.ReleaseLease(
        leases.ReleaseLeaseRequest(lease=lease.name, sequence=2, calls=lease_pb2.CallCounts(ok=3)), **caller
    )
    assert released.calls_returned == 4, released
    seen = stub.GetLease(leases.GetLeaseRequest(name=lease.name), **caller).lease
    assert seen.state == lease_pb2.LEASE_STATE_RELEASED and not seen.access_token, seen
    return lease.name


def stream(stub, caller):
    """The same over Collect, one command after the other."""
    lease = None

    def commands(answers):
        nonlocal lease
        yield leases.CollectRequest(tag=1, acquire=acquire())
        lease = answers.pop().acquired.lease
        report = leases.ReportUsageRequest(
            lease=lease.name, sequence=1, calls=lease_pb2.CallCounts(ok=10), want_calls=2
        )
        yield leases.CollectRequest(tag=2, report=report)
        assert answers.pop().reported.calls_left == 2
        release = leases.ReleaseLeaseRequest(lease=lease.name)
        yield leases.CollectRequest(tag=3, release=release)
        assert answers.pop().released.calls_returned == 2
        yield leases.CollectRequest(tag=4, acquire=acquire(operation="no.such"))
        assert answers.pop().refused.reason == "UNKNOWN_OPERATION"

    answers = Mailbox()
    for answer in stub.Collect(commands(answers), **caller):
        if answer.tag:
            answers.put(answer)
    return lease.name


class Mailbox:
    """Answers, handed from the thread that reads to the one that writes."""

    def __init__(self):
        import queue

        self.queue = queue.Queue()

    def put(self, answer):
        self.queue.put(answer)

    def pop(self):
        return self.queue.get(timeout=DEADLINE)


def refusals(stub, caller):
    """Status codes, and the reason in the details."""
    seen = {}
    for request in [acquire(network="networks/nowhere"), acquire(calls=0), acquire(calls=500)]:
        try:
            stub.AcquireLease(request, **caller)
        except grpc.RpcError as error:
            details = dict(error.trailing_metadata())["grpc-status-details-bin"]
            seen[error.code().name] = seen.get(error.code().name, []) + [
                reason.decode()
                for reason in (b"UNKNOWN_NETWORK", b"INVALID_FIELD", b"CREDIT_CAN_NEVER_FIT")
                if reason in details
            ]
    return seen


def health(channel):
    """Health needs no key. The message is one number, so that no stub is needed."""
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    return check(b"", timeout=DEADLINE).hex()


def main():
    with grpc.insecure_channel(ADDRESS) as channel:
        admin = as_caller(os.environ["ADMIN_KEY"])
        key, token = prepare(channel, admin)
        stub = lease_service_pb2_grpc.LeaseServiceStub(channel)
        caller = as_caller(key)
        seen = {
            "token": token,
            "leases": [unary(stub, caller), stream(stub, caller)],
            "refusals": refusals(stub, caller),
            "health": health(channel),
        }
        events = audit_service_pb2_grpc.AuditServiceStub(channel).ListAuditEvents(
            audit.ListAuditEventsRequest(action="lease."), **admin
        )
        seen["audited"] = sorted({event.resource for event in events.audit_events})
        print(json.dumps(seen))


main()
