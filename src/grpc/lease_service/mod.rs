//! What collectors use: acquire, report, extend, release, over single calls or one stream for many leases.
//!
//! `ask` reads requests and checks their bounds, `show` writes answers, `refusals` turns errors into refusals with their reasons;
//! unary calls and the stream share all three. `collect` is the stream.

mod ask;
mod collect;
mod list;
mod refusals;
mod show;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tonic::{Request, Response, Status, Streaming};

use crate::grpc::authorization::authorize;
use crate::grpc::call::{Closing, deadline_of};
use crate::grpc::convert::timestamp;
use crate::grpc::pb;
use crate::grpc::pb::lease_service_server::LeaseService;
use crate::grpc::status::Refusal;
use crate::service::{AcquireLease, Broker, Caller};

/// How much of a call's deadline is spent waiting at most: a tenth of it, 50 ms to 1 s, is kept for the answer's way, so that a wait ends
/// with its refusal and not with the call.
fn longest_wait(deadline: Duration) -> Duration {
    let kept = (deadline / 10).clamp(Duration::from_millis(50), Duration::from_secs(1));
    deadline.saturating_sub(kept)
}

/// Serves leases.
#[derive(Clone)]
pub struct LeaseServer {
    broker: Broker,
    patience: Duration,
}

impl LeaseServer {
    /// Serves the leases of `broker`. Servers of one broker share everything that is counted.
    pub fn new(broker: Broker) -> Self {
        Self { broker, patience: collect::PATIENCE }
    }

    /// Answers ReportUsage, without the box that each call of the trait costs.
    pub async fn take_report(&self, request: Request<pb::ReportUsageRequest>) -> Answer<pb::ReportUsageResponse> {
        let caller = authorize(&self.broker, &request, "LeaseService/ReportUsage")?;
        let (lease, report) = ask::report(request.into_inner()).map_err(Refusal::status)?;
        match self.broker.report_usage(&caller, lease, report).await {
            Ok(standing) => Ok(Response::new(show::standing(&standing, self.broker.now()))),
            Err(error) => Err(refusals::of_call(error).status()),
        }
    }

    /// Waits for slow readers of streams this long, and not 10 seconds.
    #[cfg(test)]
    fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl LeaseService for LeaseServer {
    async fn acquire_lease(&self, request: Request<pb::AcquireLeaseRequest>) -> Answer<pb::AcquireLeaseResponse> {
        let caller = authorize(&self.broker, &request, "LeaseService/AcquireLease")?;
        let deadline = deadline_of(request.metadata().as_ref());
        let (mut ask, lease) = ask::acquire(request.into_inner()).map_err(Refusal::status)?;
        if let Some(deadline) = deadline {
            ask.wait = ask.wait.min(longest_wait(deadline));
        }
        let lease = acquire(&self.broker, &caller, ask, lease).await.map_err(Refusal::status)?;
        Ok(Response::new(pb::AcquireLeaseResponse { lease: Some(lease) }))
    }

    async fn report_usage(&self, request: Request<pb::ReportUsageRequest>) -> Answer<pb::ReportUsageResponse> {
        self.take_report(request).await
    }

    async fn extend_lease(&self, request: Request<pb::ExtendLeaseRequest>) -> Answer<pb::ExtendLeaseResponse> {
        let caller = authorize(&self.broker, &request, "LeaseService/ExtendLease")?;
        let (lease, ttl) = ask::extend(request.into_inner()).map_err(Refusal::status)?;
        match self.broker.extend_lease(&caller, lease, ttl).await {
            Ok((use_by, end)) => Ok(Response::new(show::extended(use_by, end))),
            Err(error) => Err(refusals::of_call(error).status()),
        }
    }

    async fn release_lease(&self, request: Request<pb::ReleaseLeaseRequest>) -> Answer<pb::ReleaseLeaseResponse> {
        let caller = authorize(&self.broker, &request, "LeaseService/ReleaseLease")?;
        let (lease, last) = ask::release(request.into_inner()).map_err(Refusal::status)?;
        match self.broker.release_lease(&caller, lease, last).await {
            Ok(returned) => Ok(Response::new(show::released(returned))),
            Err(error) => Err(refusals::of_call(error).status()),
        }
    }

    async fn sign_proof(&self, request: Request<pb::SignProofRequest>) -> Answer<pb::SignProofResponse> {
        let caller = authorize(&self.broker, &request, "LeaseService/SignProof")?;
        let (lease, ask) = ask::proof(request.into_inner()).map_err(Refusal::status)?;
        match self.broker.sign_proof(&caller, lease, ask).await {
            Ok(proof) => Ok(Response::new(pb::SignProofResponse { proof })),
            Err(error) => Err(refusals::of_proof(error).status()),
        }
    }

    async fn get_lease(&self, request: Request<pb::GetLeaseRequest>) -> Answer<pb::GetLeaseResponse> {
        let caller = authorize(&self.broker, &request, "LeaseService/GetLease")?;
        let lease = ask::lease_named("name", &request.into_inner().name).map_err(Refusal::status)?;
        match self.broker.get_lease(&caller, lease).await {
            Ok(record) => {
                let network = self.broker.engine.network(record.lease.network.as_str());
                Ok(Response::new(pb::GetLeaseResponse { lease: Some(show::record(record, network.as_deref())) }))
            }
            Err(error) => Err(refusals::of_list(error).status()),
        }
    }

    async fn list_leases(&self, request: Request<pb::ListLeasesRequest>) -> Answer<pb::ListLeasesResponse> {
        let caller = authorize(&self.broker, &request, "LeaseService/ListLeases")?;
        list::list(&self.broker, &caller, request.into_inner()).await.map(Response::new)
    }

    type CollectStream = collect::Messages;

    async fn collect(&self, request: Request<Streaming<pb::CollectRequest>>) -> Answer<collect::Messages> {
        let caller = authorize(&self.broker, &request, "LeaseService/Collect")?;
        let closing = request.extensions().get::<Closing>().cloned();
        let messages = collect::start(&self.broker, caller, request.into_inner(), closing, self.patience);
        messages.map(Response::new).map_err(Refusal::status)
    }
}

/// Acquires, and completes the lease that the answer shows.
async fn acquire(broker: &Broker, caller: &Caller, ask: AcquireLease, lease: pb::Lease) -> Result<pb::Lease, Refusal> {
    match broker.acquire_lease(caller, ask).await {
        Ok(leased) => Ok(show::leased(lease, leased, caller)),
        Err(error) => Err(refusals::of_acquire(error, &lease, broker.now())),
    }
}

/// How often a holder reports, where its lease lasts long enough.
const REPORT_EVERY: Duration = Duration::from_secs(30);

/// Within which time a lease must be reported that ends after `left`.
fn report_within(left: Duration) -> prost_types::Duration {
    crate::grpc::convert::duration(REPORT_EVERY.min(left / 3).max(Duration::from_secs(1)))
}

/// A time on the wire, set.
fn at(at: crate::base::clock::Timestamp) -> Option<prost_types::Timestamp> {
    Some(timestamp(at))
}
