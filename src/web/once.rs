//! Forms whose answer shows a secret are done once. Whoever loads the answer again, or goes back and sends the form once more, makes nothing,
//! and is told what was made the first time.

use crate::base::ids::FormId;
use crate::service::requests::Attempt;
use crate::service::{Broker, Caller, StoreError};

/// What came of a form.
pub(in crate::web) enum Sent<V> {
    /// It was sent for the first time, and this was made.
    First(V),
    /// It was sent before. What was made then is called so; its secret is not known any more.
    Again(String),
}

/// A form that was sent.
pub(in crate::web) struct SentForm<'f> {
    /// Who sent it.
    pub(in crate::web) caller: &'f Caller,
    /// What it is for: ids are unique within it.
    pub(in crate::web) purpose: &'static str,
    /// The [`FormId`] that the page gave it. Without one it is done each time.
    pub(in crate::web) id: &'f str,
}

impl SentForm<'_> {
    /// Has `work` make what the form asks for, unless it was made before. `name`: what it is called then, never a secret.
    pub(in crate::web) async fn once<V, E: From<StoreError>>(
        self,
        broker: &Broker,
        name: impl Fn(&V) -> String + Send + Sync + 'static,
        work: impl AsyncFnOnce(Attempt<V>) -> Result<V, E>,
    ) -> Result<Sent<V>, E> {
        let Ok(id) = self.id.parse::<FormId>() else { return work(self.caller.into()).await.map(Sent::First) };
        let request = broker.repeatable(self.caller, self.purpose, &id.to_string(), &[]);
        if let Some(first) = broker.answer_to_id(&request).await? {
            return Ok(again(&first));
        }
        let attempt = Attempt::of(self.caller.clone(), request.clone(), move |made| name(made).into_bytes());
        match work(attempt).await {
            Ok(made) => Ok(Sent::First(made)),
            // Of two that were sent at once the other one may stand in the way.
            Err(error) => broker.answer_to_id(&request).await?.map(|first| again(&first)).ok_or(error),
        }
    }
}

fn again<V>(name: &[u8]) -> Sent<V> {
    Sent::Again(String::from_utf8_lossy(name).into_owned())
}
