//! Where an account lives, where each has a server of its own: from its DID to its server, and from that to who grants its tokens
//! (AT Protocol, RFC 9728).
//!
//! All of it is foreign text: an account names its server itself. What is no plain https address is none.

use serde::Deserialize;
use url::Url;

/// Longer texts are no identifiers and no addresses, in bytes.
const LONGEST: usize = 512;
/// The path at which a server tells who grants its tokens.
const RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// Where the document of a DID is read: of `did:plc` in the directory, whose address has `{did}` in it; of `did:web` at its host. `None`: it is none
/// of these.
pub fn did_document_url(directory: &str, did: &str) -> Option<String> {
    if did.len() > LONGEST {
        return None;
    }
    if let Some(id) = did.strip_prefix("did:plc:") {
        let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        return plain.then(|| directory.replace("{did}", did));
    }
    let host = did.strip_prefix("did:web:")?;
    let plain = host.contains('.') && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    plain.then(|| format!("https://{host}/.well-known/did.json"))
}

#[derive(Deserialize)]
struct DidDocument {
    id: String,
    #[serde(default)]
    service: Vec<DidService>,
}

#[derive(Deserialize)]
struct DidService {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "serviceEndpoint")]
    endpoint: serde_json::Value,
}

/// The address of the server that a DID's document names, without a slash at the end. `known`: the network's own address, at whose host a
/// server may be without TLS and below a path.
pub fn server_in(document: &[u8], did: &str, known: &str) -> Option<String> {
    let document: DidDocument = serde_json::from_slice(document).ok()?;
    let is_server = |service: &&DidService| {
        service.kind == "AtprotoPersonalDataServer"
            && service.id.strip_prefix(did).unwrap_or(&service.id) == "#atproto_pds"
    };
    let service = document.service.iter().filter(|_| document.id == did).find(is_server)?;
    checked_server(service.endpoint.as_str()?, known)
}

fn checked_server(text: &str, known: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= LONGEST)?;
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    let is_known = Url::parse(known).is_ok_and(|known| known.origin() == url.origin());
    let is_origin = url.scheme() == "https" && url.path() == "/";
    let fits = is_plain && url.has_host() && (is_known || is_origin);
    fits.then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// Where a server tells who grants its tokens.
pub fn resource_url(server: &str) -> Option<String> {
    let mut url = Url::parse(server).ok()?;
    let path = format!("{RESOURCE}{}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Some(url.into())
}

/// Who grants the tokens of a server, as it tells at [`resource_url`].
pub fn issuer_in(metadata: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Metadata {
        authorization_servers: Vec<String>,
    }
    let Metadata { authorization_servers } = serde_json::from_slice(metadata).ok()?;
    let issuer = authorization_servers.into_iter().next()?;
    (issuer.len() <= LONGEST && Url::parse(&issuer).is_ok()).then_some(issuer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DID: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";

    #[test]
    fn a_did_leads_to_its_document_or_nowhere() {
        let cases = [
            (DID, Some("https://plc.example/did:plc:ewvi7nxzyoun6zhxrhs64oiz")),
            ("did:web:ann.example.com", Some("https://ann.example.com/.well-known/did.json")),
            ("did:plc:", None),
            ("did:plc:../admin", None),
            ("did:plc:UPPER", None),
            ("did:web:localhost", None),
            ("did:web:a.example:8080", None),
            ("did:web:a.example/x", None),
            ("did:web:user@a.example", None),
            ("did:key:zQ3sh", None),
            ("ann.example.com", None),
            ("", None),
        ];
        for (did, expected) in cases {
            assert_eq!(did_document_url("https://plc.example/{did}", did).as_deref(), expected, "{did}");
        }
    }

    fn document(endpoint: &str) -> Vec<u8> {
        let other = json!({ "id": "#other", "type": "Other", "serviceEndpoint": { "uri": "https://x.example" } });
        let own = json!({ "id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": endpoint });
        json!({ "id": DID, "alsoKnownAs": ["at://ann.example"], "service": [other, own] }).to_string().into_bytes()
    }

    #[test]
    fn only_a_plain_address_is_a_server() {
        let cases = [
            ("https://pds.example", Some("https://pds.example")),
            ("https://pds.example:8443/", Some("https://pds.example:8443")),
            ("http://127.0.0.1:7/net", Some("http://127.0.0.1:7/net")),
            ("http://pds.example", None),
            ("http://127.0.0.1:8/net", None),
            ("https://pds.example/path", None),
            ("https://user@pds.example", None),
            ("https://pds.example?a=b", None),
            ("https://pds.example#a", None),
            ("file:///etc/passwd", None),
            ("", None),
        ];
        for (endpoint, expected) in cases {
            assert_eq!(
                server_in(&document(endpoint), DID, "http://127.0.0.1:7/net").as_deref(),
                expected,
                "{endpoint}"
            );
        }
        assert_eq!(server_in(&document("https://pds.example"), "did:plc:another", ""), None, "another's document");
        for bad in ["", "{}", "[]", r#"{"id":"did:plc:a","service":[]}"#, "<html>"] {
            assert_eq!(server_in(bad.as_bytes(), "did:plc:a", ""), None, "{bad}");
        }
    }

    #[test]
    fn a_server_tells_who_grants_its_tokens() {
        let url = |server| resource_url(server).unwrap();
        assert_eq!(url("https://pds.example"), "https://pds.example/.well-known/oauth-protected-resource");
        assert_eq!(url("http://127.0.0.1:7/net"), "http://127.0.0.1:7/.well-known/oauth-protected-resource/net");
        let read = |text: &str| issuer_in(text.as_bytes());
        let told = r#"{"resource":"https://pds.example","authorization_servers":["https://net.example"]}"#;
        assert_eq!(read(told).as_deref(), Some("https://net.example"));
        for bad in ["", "{}", r#"{"authorization_servers":[]}"#, r#"{"authorization_servers":["no url"]}"#] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
