//! The program in Rust that the console shows beside a new key. There it makes `pb` from the .proto files, where this takes the broker's own.
#![expect(clippy::disallowed_methods, reason = "a program of its own reads its environment where it likes")]

use pb::lease_service_client::LeaseServiceClient;
use token_broker::grpc::pb;
use tonic::metadata::MetadataValue;
use tonic::transport::Endpoint;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key: MetadataValue<_> = format!("Bearer {}", std::env::var("TOKEN_BROKER_KEY")?).parse()?;
    let channel = Endpoint::new(std::env::var("TOKEN_BROKER_SERVER")?)?.connect().await?;
    let mut leases = LeaseServiceClient::with_interceptor(channel, move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", key.clone());
        Ok(request)
    });
    let asked = pb::AcquireLeaseRequest {
        team: "teams/acme".into(),
        network: "networks/x".into(),
        operation: "tweets.list".into(),
        calls: 10,
        purpose: pb::Purpose::CollectStatistics.into(),
        ..Default::default()
    };
    let lease = leases.acquire_lease(asked).await?.into_inner().lease.ok_or("no lease")?;
    // ... call the network with lease.access_token, at most 10 times and before lease.use_by ...
    let calls = Some(pb::CallCounts { ok: 10, ..Default::default() });
    let used = pb::ReleaseLeaseRequest { lease: lease.name, sequence: 1, calls, ..Default::default() };
    leases.release_lease(used).await?;
    Ok(())
}
