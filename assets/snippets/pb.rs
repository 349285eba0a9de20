mod pb {
    tonic::include_proto!("tokenbroker.v1");
}
