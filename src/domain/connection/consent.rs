//! What a person is asked for, and whether it was granted.

use std::collections::BTreeSet;

use crate::domain::networks::{ClientAuth, Network, OAuth, Purpose, Purposes, Renewal, TokenKind};

/// Why a kind of token can't be connected in a browser. Each says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotConnectable {
    /// It is made otherwise.
    #[error("no person grants a token of this kind; add it with its secrets instead")]
    NotGranted,
    /// OAuth 1.0a.
    #[error("its consent is that of OAuth 1.0a, which is not supported; add such tokens with their secrets")]
    OAuth1,
    /// No source names the endpoint.
    #[error("nobody has published where its consent is given; name it in a catalogue file of your own")]
    NoEndpoint,
    /// The address has a part that varies.
    #[error("its addresses differ from instance to instance; write a catalogue file of your own with those of yours")]
    Instances,
}

/// The kind by whose consent a token of `kind` comes: itself, or the one it is derived from.
pub fn consent_of<'n>(network: &'n Network, kind: &'n TokenKind) -> Result<(&'n TokenKind, &'n OAuth), NotConnectable> {
    let granted = match &kind.renewal {
        Renewal::Derived { from } => network.kind(from.as_str()).ok_or(NotConnectable::NotGranted)?,
        _ => kind,
    };
    let oauth = granted.oauth.as_ref().ok_or(NotConnectable::NotGranted)?;
    if oauth.client_auth == ClientAuth::OAuth1 {
        return Err(NotConnectable::OAuth1);
    }
    let authorize = oauth.authorize_url.as_ref().ok_or(NotConnectable::NoEndpoint)?;
    if [authorize, &oauth.token_url].into_iter().any(|url| url.contains('{')) {
        return Err(NotConnectable::Instances);
    }
    Ok((granted, oauth))
}

/// The scopes to ask for: those of the purposes, those without which there would be no renewal, or it could not be seen whose
/// token it is, those that the network newly requires or has announced to, and `more`.
/// In the order of the alphabet, each once.
pub fn scopes_to_ask(
    network: &Network,
    granted: &TokenKind,
    kind: &TokenKind,
    purposes: Purposes,
    more: &[String],
) -> Vec<String> {
    let of_purposes = purposes.iter().filter_map(|purpose| kind.scopes_for(purpose));
    let of_list = kind.profiles.as_ref().and_then(|_| granted.scopes_for(Purpose::ListPages));
    let of_account = granted.account.as_ref().and_then(|_| granted.scopes_for(Purpose::Validate));
    let of_look_up = granted.account.as_ref().map_or(&[][..], |lookup| &lookup.scopes);
    let of_renewal = match &granted.renewal {
        Renewal::RefreshToken { needs_scope, .. } => needs_scope.as_slice(),
        _ => &[],
    };
    let required = network.requirements.iter().filter(|rule| rule.concerns(&kind.id) || rule.concerns(&granted.id));
    let required = required.flat_map(|rule| &rule.scopes);
    let all = of_purposes.chain(of_list).chain(of_account).flatten().chain(of_look_up).chain(of_renewal);
    all.chain(required).chain(more).cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Those of `asked` that were not granted.
pub fn missing_scopes(asked: &[String], granted: &[String]) -> Vec<String> {
    asked.iter().filter(|scope| !granted.contains(scope)).cloned().collect()
}
