//! Turns `proto/` into Rust, without protoc: protox parses the files, tonic-prost-build writes the code. The descriptor set
//! is kept beside it, with all comments, for gRPC reflection.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message;

const PROTO_ROOT: &str = "proto";
const PACKAGE_FOLDER: &str = "proto/tokenbroker/v1";

/// Messages that carry secrets, or answers of networks in which secrets may stand. Their `Debug` is written by hand in
/// `src/grpc/pb.rs`, so that no log or panic shows what they carry.
const WITHOUT_DERIVED_DEBUG: [&str; 12] = [
    ".tokenbroker.v1.App",
    ".tokenbroker.v1.Lease",
    ".tokenbroker.v1.TokenSecrets",
    ".tokenbroker.v1.CreateKeyResponse",
    ".tokenbroker.v1.InviteMemberResponse",
    ".tokenbroker.v1.ResendInvitationResponse",
    ".tokenbroker.v1.RevokeKeyByValueRequest",
    ".tokenbroker.v1.StartConnectionResponse",
    ".tokenbroker.v1.NetworkAnswer",
    ".tokenbroker.v1.Header",
    ".tokenbroker.v1.Destination",
    ".tokenbroker.v1.PushSubscription",
];

/// Large arms of oneofs that are small otherwise. Boxed, they don't make room in each of the small and frequent ones.
const BOXED: [&str; 6] = [
    ".tokenbroker.v1.CollectRequest.command.acquire",
    ".tokenbroker.v1.CollectResponse.event.acquired",
    ".tokenbroker.v1.CollectResponse.event.dead_span",
    ".tokenbroker.v1.WatchAlertsResponse.event.alert",
    ".tokenbroker.v1.WatchNoticesResponse.event.notice",
    ".tokenbroker.v1.WatchIncidentsResponse.event.incident",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO_ROOT}");
    let descriptors = protox::compile(proto_files()?, [PROTO_ROOT])?;
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo did not set OUT_DIR")?);
    std::fs::write(out_dir.join("tokenbroker.v1.descriptors"), descriptors.encode_to_vec())?;
    let mut builder = tonic_prost_build::configure()
        .bytes(".tokenbroker.v1")
        .btree_map(".tokenbroker.v1")
        .skip_debug(WITHOUT_DERIVED_DEBUG)
        .emit_rerun_if_changed(false);
    for path in BOXED {
        builder = builder.boxed(path);
    }
    builder.compile_fds(descriptors)?;
    Ok(())
}

fn proto_files() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(Path::new(PACKAGE_FOLDER))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
