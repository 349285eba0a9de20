//! The measure of all others: a service that answers reports with a message as long as the broker's, and does nothing else.

use token_broker::grpc::pb;
use token_broker::grpc::pb::lease_service_server::LeaseService;
use tokio_stream::Empty;
use tonic::{Request, Response, Status};

/// Answers reports, and refuses all else.
pub struct Echo;

type Answer<T> = Result<Response<T>, Status>;

fn refused<T>() -> Answer<T> {
    Err(Status::unimplemented("this server only answers reports"))
}

#[tonic::async_trait]
impl LeaseService for Echo {
    type CollectStream = Empty<Result<pb::CollectResponse, Status>>;

    async fn report_usage(&self, request: Request<pb::ReportUsageRequest>) -> Answer<pb::ReportUsageResponse> {
        let report = request.into_inner();
        Ok(Response::new(pb::ReportUsageResponse {
            calls_granted: report.want_calls,
            calls_left: report.want_calls,
            verdict: pb::Verdict::Keep.into(),
            sequence: report.sequence,
            use_by: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 123_456_000 }),
            next_report: Some(prost_types::Duration { seconds: 30, nanos: 0 }),
            ..Default::default()
        }))
    }

    async fn acquire_lease(&self, _: Request<pb::AcquireLeaseRequest>) -> Answer<pb::AcquireLeaseResponse> {
        refused()
    }

    async fn extend_lease(&self, _: Request<pb::ExtendLeaseRequest>) -> Answer<pb::ExtendLeaseResponse> {
        refused()
    }

    async fn release_lease(&self, _: Request<pb::ReleaseLeaseRequest>) -> Answer<pb::ReleaseLeaseResponse> {
        refused()
    }

    async fn sign_proof(&self, _: Request<pb::SignProofRequest>) -> Answer<pb::SignProofResponse> {
        refused()
    }

    async fn get_lease(&self, _: Request<pb::GetLeaseRequest>) -> Answer<pb::GetLeaseResponse> {
        refused()
    }

    async fn list_leases(&self, _: Request<pb::ListLeasesRequest>) -> Answer<pb::ListLeasesResponse> {
        refused()
    }

    async fn collect(&self, _: Request<tonic::Streaming<pb::CollectRequest>>) -> Answer<Self::CollectStream> {
        refused()
    }
}
