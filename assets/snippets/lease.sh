answer=$(grpcurl <plaintext>-H "authorization: Bearer $TOKEN_BROKER_KEY" -d '{
  "team": "teams/<team>", "network": "networks/<network>", "operation": "<operation>",
  "calls": 10, "purpose": "PURPOSE_<purpose>"
}' <address> tokenbroker.v1.LeaseService/AcquireLease)
echo "$answer"
lease=$(echo "$answer" | grep -o 'leases/lse_[0-9a-f]*' | head -n 1)
# ... call the network with the accessToken, at most 10 times and before useBy ...
grpcurl <plaintext>-H "authorization: Bearer $TOKEN_BROKER_KEY" -d "{
  \"lease\": \"$lease\", \"sequence\": 1, \"calls\": {\"ok\": 10}
}" <address> tokenbroker.v1.LeaseService/ReleaseLease
