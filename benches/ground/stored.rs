//! Tokens in a broker's store: sealed as it seals them, many in one transaction, then in its pool.

use token_broker::base::ids::TeamId;
use token_broker::domain::token::Token;
use token_broker::service::{Broker, Caller};
use token_broker::store::team::WrappedKey;
use token_broker::store::{NewToken, StoredRenewal, StoredToken};
use token_broker::vault::Place;

/// Makes the data key of a team that has none.
pub async fn give_data_key(broker: &Broker, team: &TeamId) -> anyhow::Result<()> {
    let key = broker.vault.new_data_key(team, None);
    let (id, wrapped, created_at) = (key.number, key.wrapped.clone(), broker.now());
    broker.store.insert_data_key(WrappedKey { team: team.clone(), id, wrapped, created_at }).await?;
    Ok(broker.vault.install(key)?)
}

/// A token as it is stored, with its secrets. No renewal of it is due.
pub fn sealed(broker: &Broker, token: Token, access: &str, refresh: Option<&str>) -> anyhow::Result<NewToken> {
    let seal = |column, secret: &str| {
        let place = Place::of_token(&token.id, &token.team, token.version, column);
        broker.vault.seal(&place, secret.as_bytes())
    };
    let sealed_access = seal("access", access)?;
    let sealed_refresh = refresh.map(|secret| seal("refresh", secret)).transpose()?;
    let renewal = StoredRenewal::default();
    let stored = StoredToken { token, sealed_access, sealed_refresh, sealed_key: None, renewal };
    let trail = broker.audit(&Caller::Broker, "token.add", String::new(), String::new()).into();
    Ok(NewToken { given_refresh: None, consent: None, stored, trail })
}

/// Stores tokens in one transaction, and lets them be leased.
pub async fn add_tokens(broker: &Broker, rows: Vec<NewToken>) -> anyhow::Result<()> {
    broker.store.insert_tokens(rows.clone(), None).await?;
    for NewToken { stored, .. } in rows {
        broker.engine.put_token(&stored.token, None, stored.sealed_access);
    }
    Ok(())
}
