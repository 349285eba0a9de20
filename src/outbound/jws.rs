//! Keys on P-256, and tokens that they sign (ES256: RFC 7515, 7518, 7519).
//!
//! Keys are made here and leave as a text to seal, never otherwise; only their public halves are shown.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SystemRandom, fill};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::base::secret::Secret;

/// Characters of a line of PEM (RFC 7468).
const PEM_LINE: usize = 64;

/// A private key. It has no `Debug` and is not cloned; its memory is overwritten when it is dropped.
pub struct SigningKey(EcdsaKeyPair);

/// A text is no key, or none could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM of PKCS#8.
    #[error(
        "it is no private key as PKCS#8 in PEM ('-----BEGIN PRIVATE KEY-----'); convert another form with \
         `openssl pkcs8 -topk8 -nocrypt -in KEY`"
    )]
    NotPem,
    /// A key for something else.
    #[error(
        "it is no private key on the curve P-256, which ES256 needs; make one with \
         `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
    )]
    NotP256,
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers, so no key can be made; try again")]
    Random,
}

impl SigningKey {
    /// A new key, as a text to seal: the base64url of its PKCS#8.
    pub fn generate() -> Result<Secret, KeyError> {
        Ok(Secret::new(URL_SAFE_NO_PAD.encode(new_pkcs8()?)))
    }

    /// A new key, as the PEM that [`SigningKey::parse_pem`] reads.
    pub fn generate_pem() -> Result<Secret, KeyError> {
        let encoded = Zeroizing::new(STANDARD.encode(new_pkcs8()?));
        let mut pem = String::with_capacity(encoded.len() + 80);
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        for (place, character) in encoded.char_indices() {
            if place > 0 && place % PEM_LINE == 0 {
                pem.push('\n');
            }
            pem.push(character);
        }
        pem.push_str("\n-----END PRIVATE KEY-----\n");
        Ok(Secret::new(pem))
    }

    /// Reads the text of [`SigningKey::generate`].
    pub fn parse(text: &Secret) -> Result<Self, KeyError> {
        let pkcs8 = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.expose()).map_err(|_| KeyError::NotP256)?);
        Self::of_pkcs8(&pkcs8)
    }

    /// Reads a private key as PKCS#8 in PEM.
    pub fn parse_pem(text: &Secret) -> Result<Self, KeyError> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(text.expose().as_bytes()).map_err(|_| KeyError::NotPem)?;
        Self::of_pkcs8(key.secret_pkcs8_der())
    }

    fn of_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8);
        key.map(Self).map_err(|_| KeyError::NotP256)
    }

    /// The public key: an uncompressed point.
    pub fn public_point(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// The public key as a JWK (RFC 7518, section 6.2.1), without anything that is not needed.
    pub fn public_jwk(&self) -> Value {
        let (x, y) = self.coordinates();
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
    }

    /// The public key's name: its thumbprint (RFC 7638).
    pub fn thumbprint(&self) -> String {
        let (x, y) = self.coordinates();
        // The members in the order of the alphabet, without spaces.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        hash(canonical.as_bytes())
    }

    fn coordinates(&self) -> (String, String) {
        // 0x04, then 32 bytes each.
        let (x, y) = self.public_point()[1..].split_at(32);
        (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
    }

    /// Signs claims as a JWT in compact form. `header` says what it is; the algorithm is added.
    pub fn sign(&self, mut header: Value, claims: &Value) -> String {
        header["alg"] = json!("ES256");
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).expect("a key of P-256 signs everything");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn new_pkcs8() -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    key.map(|key| Zeroizing::new(key.as_ref().to_vec())).map_err(|_| KeyError::Random)
}

/// The base64url of SHA-256.
pub fn hash(text: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text))
}

/// A name for a token that is never used twice: 128 random bits.
pub fn random_id() -> Result<String, KeyError> {
    let mut bytes = [0_u8; 16];
    fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn what_it_signs_is_verified_by_its_public_half() {
        let key = SigningKey::parse(&SigningKey::generate().unwrap()).unwrap();
        let token = key.sign(json!({ "typ": "t" }), &json!({ "a": 1 }));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_point());
        public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split('.').next().unwrap()).unwrap()).unwrap();
        assert_eq!(header, json!({ "typ": "t", "alg": "ES256" }));
    }

    #[test]
    fn pem_is_read_as_it_is_written_and_as_openssl_writes_it() {
        let pem = SigningKey::generate_pem().unwrap();
        assert!(pem.expose().lines().all(|line| line.len() <= PEM_LINE), "{}", pem.expose());
        assert!(SigningKey::parse_pem(&pem).is_ok());
        // openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256
        let foreign = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
        assert!(SigningKey::parse_pem(&secret(&foreign)).is_ok());
    }

    #[test]
    fn what_is_no_key_for_es256_is_told_apart() {
        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
        let sec1 = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n";
        let cases = [
            ("", KeyError::NotPem),
            ("a client secret", KeyError::NotPem),
            (sec1, KeyError::NotPem),
            ("-----BEGIN PRIVATE KEY-----\nMHcCAQEE\n-----END PRIVATE KEY-----\n", KeyError::NotP256),
            (other.as_str(), KeyError::NotP256),
        ];
        for (text, expected) in cases {
            assert_eq!(SigningKey::parse_pem(&secret(text)).err(), Some(expected), "{text}");
        }
        assert_eq!(SigningKey::parse(&secret("no key")).err(), Some(KeyError::NotP256));
    }

    #[test]
    fn a_thumbprint_names_the_public_key() {
        let text = SigningKey::generate().unwrap();
        let key = SigningKey::parse(&text).unwrap();
        assert_eq!(key.thumbprint(), SigningKey::parse(&text).unwrap().thumbprint());
        assert_eq!(key.thumbprint().len(), 43);
        assert_eq!(key.public_jwk()["kty"], "EC");
    }
}
