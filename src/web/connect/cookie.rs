//! What a browser is known by. Over TLS the cookie has the prefix `__Host-`: no other host, and nobody on the way, can set it. Without TLS, which
//! is allowed on this very machine only, browsers differ in whether they take such a cookie, so it has a plain name and no `Secure` there.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::base::secret::Secret;
use crate::config::Config;

const NAME: &str = "token-broker-connect";

fn is_secure(config: &Config) -> bool {
    config.http.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
}

fn name(config: &Config) -> String {
    format!("{}{NAME}", if is_secure(config) { "__Host-" } else { "" })
}

/// What the browser shows, if it is of our form.
pub(super) fn browser_of(config: &Config, headers: &HeaderMap) -> Option<Secret> {
    let name = name(config);
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let is_ours = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    is_ours.then(|| Secret::new(value.to_owned()))
}

/// The header that makes the browser known, for as long as a link works. It comes back with top-level navigations from the network (`Lax`).
pub(super) fn known_by(config: &Config, browser: &Secret) -> Option<HeaderValue> {
    let secure = if is_secure(config) { "; Secure" } else { "" };
    let seconds = config.connections.link_lifetime.as_secs();
    let text =
        format!("{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}", name(config), browser.expose());
    HeaderValue::from_str(&text).ok()
}
