// build.rs: tonic_prost_build::configure().compile_protos(&["proto/tokenbroker/v1/lease_service.proto"], &["proto"])
use pb::lease_service_client::LeaseServiceClient;
mod pb { tonic::include_proto!("tokenbroker.v1"); }

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key: tonic::metadata::MetadataValue<_> = format!("Bearer {}", std::env::var("TOKEN_BROKER_KEY")?).parse()?;
    let channel = tonic::transport::Endpoint::new("<scheme>://<address>")?.connect().await?;
    let mut leases = LeaseServiceClient::with_interceptor(channel, move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", key.clone());
        Ok(request)
    });
    let asked = pb::AcquireLeaseRequest {
        team: "teams/<team>".into(), network: "networks/<network>".into(), operation: "<operation>".into(),
        calls: 10, purpose: pb::Purpose::<purpose> as i32, ..Default::default()
    };
    let lease = leases.acquire_lease(asked).await?.into_inner().lease.ok_or("no lease")?;
    // ... call the network with lease.access_token, at most 10 times and before lease.use_by ...
    let calls = Some(pb::CallCounts { ok: 10, ..Default::default() });
    let used = pb::ReleaseLeaseRequest { lease: lease.name, sequence: 1, calls, ..Default::default() };
    leases.release_lease(used).await?;
    Ok(())
}
