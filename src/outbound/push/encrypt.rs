//! Sealing a message for one browser: the content coding `aes128gcm` (RFC 8188) with the keys of RFC 8291, as one record.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

/// The size of a record: push services take no more.
const RECORD: u32 = 4096;
/// Before the ciphertext: salt, size of the record, length of the key, key.
const HEADER: usize = 16 + 4 + 1 + PUBLIC;
/// An uncompressed point.
const PUBLIC: usize = 65;
/// The most bytes that a message may have: what a record leaves beside the header, the tag and the mark of its end.
pub const MOST_PLAIN: usize = RECORD as usize - HEADER - 16 - 1;

/// A message can't be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// It is too long.
    #[error("a push message has at most {MOST_PLAIN} bytes")]
    Long,
    /// The cipher did not do it.
    #[error("the push message could not be sealed")]
    Cipher,
}

impl From<Unspecified> for EncryptError {
    fn from(_: Unspecified) -> Self {
        Self::Cipher
    }
}

/// A key of that many bytes.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Whether these bytes are a public key: an uncompressed point on the curve.
pub(super) fn is_public_key(bytes: &[u8]) -> bool {
    let parsed = UnparsedPublicKey::new(&ECDH_P256, bytes);
    bytes.len() == PUBLIC && ParsedPublicKey::try_from(&parsed).is_ok()
}

/// Seals `plain` for the browser with that public key and shared secret, with a key and a salt of this message alone.
pub(super) fn encrypt(plain: &[u8], public: &[u8], auth: &[u8; 16]) -> Result<Vec<u8>, EncryptError> {
    let mut salt = [0; 16];
    rand::fill(&mut salt)?;
    encrypt_with(plain, public, auth, &PrivateKey::generate(&ECDH_P256)?, &salt)
}

fn encrypt_with(
    plain: &[u8],
    public: &[u8],
    auth: &[u8; 16],
    own: &PrivateKey,
    salt: &[u8; 16],
) -> Result<Vec<u8>, EncryptError> {
    if plain.len() > MOST_PLAIN {
        return Err(EncryptError::Long);
    }
    let own_public = own.compute_public_key()?;
    let peer = UnparsedPublicKey::new(&ECDH_P256, public);
    let shared = agree(own, peer, EncryptError::Cipher, |shared| Ok(Zeroizing::new(shared.to_vec())))?;
    let info = [b"WebPush: info\0", public, own_public.as_ref()].concat();
    let secret = expand(&Salt::new(HKDF_SHA256, auth).extract(&shared), &info, 32)?;
    let keys = Salt::new(HKDF_SHA256, salt).extract(&secret);
    let key = UnboundKey::new(&AES_128_GCM, &expand(&keys, b"Content-Encoding: aes128gcm\0", 16)?)?;
    let nonce = Nonce::try_assume_unique_for_key(&expand(&keys, b"Content-Encoding: nonce\0", 12)?)?;
    // The mark says that this record is the last.
    let mut sealed = [plain, &[2]].concat();
    LessSafeKey::new(key).seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)?;
    let header = [&salt[..], &RECORD.to_be_bytes(), &[PUBLIC as u8], own_public.as_ref()].concat();
    Ok([header, sealed].concat())
}

fn expand(prk: &Prk, info: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let mut key = Zeroizing::new(vec![0; length]);
    prk.expand(&[info], Length(length))?.fill(&mut key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// The example of RFC 8291, appendix A.
    #[test]
    fn agrees_with_the_rfc() {
        let own = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let own = PrivateKey::from_private_key(&ECDH_P256, &own).unwrap();
        let public = bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4");
        let auth = bytes("BTBZMqHH6r4Tts7J_aSIgg").try_into().unwrap();
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let plain = b"When I grow up, I want to be a watermelon";
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        let sealed = encrypt_with(plain, &public, &auth, &own, &salt).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(&sealed), expected);
        let again = encrypt(plain, &public, &auth).unwrap();
        assert_ne!(again[..16], sealed[..16], "each message has a salt of its own");
    }

    #[test]
    fn a_message_fills_one_record_at_most() {
        assert_eq!(MOST_PLAIN, 3993);
        let own = PrivateKey::generate(&ECDH_P256).unwrap();
        let public = own.compute_public_key().unwrap();
        let sealed = encrypt(&[7; MOST_PLAIN], public.as_ref(), &[0; 16]).unwrap();
        assert_eq!(sealed.len(), RECORD as usize);
        assert_eq!(encrypt(&[7; MOST_PLAIN + 1], public.as_ref(), &[0; 16]), Err(EncryptError::Long));
    }
}
