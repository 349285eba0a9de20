grpcurl <plaintext>-H "authorization: Bearer $TOKEN_BROKER_KEY" -d '{
  "team": "teams/<team>", "network": "networks/<network>", "operation": "<operation>",
  "calls": 10, "purpose": "PURPOSE_<purpose>"
}' <address> tokenbroker.v1.LeaseService/AcquireLease
