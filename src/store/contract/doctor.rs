//! The doctor finds what is wrong, and nothing where nothing is.

use super::Fixture;
use super::notice::fact;
use super::outbox::tell_and_claim;
use super::samples::{acme, at, event, key, open, seed, take};
use crate::base::ids::CollectorId;
use crate::domain::credit::BlockUpdate;
use crate::domain::team::KeyHolder;
use crate::store::{OpenLease, SendResult, Severity};

pub(crate) async fn a_sound_store_has_no_findings(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let first = take("b", 90, 100);
    let lower = BlockUpdate { block: first.block, amount: 10, charged_until: at(900) };
    store.open_lease(OpenLease { takes: vec![first], ..open(1, 1) }).await.unwrap();
    // The network lowered the limit: what was taken before may stay above a cap that nothing was taken under.
    store.update_blocks(vec![lower]).await.unwrap();
    assert!(store.open_lease(OpenLease { takes: vec![take("b", 1, 5)], ..open(2, 1) }).await.is_err());
    store.open_lease(OpenLease { takes: vec![take("b", 20, 30)], ..open(3, 1) }).await.unwrap();
    let findings = store.examine(at(0)).await.unwrap();
    assert!(findings.len() > 6);
    let wrong: Vec<_> = findings.iter().filter(|finding| finding.severity != Severity::Fine).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    store.close().await;
}

pub(crate) async fn what_is_wrong_is_found(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let orphan = key(1, KeyHolder::Collector(acme(), CollectorId::from_u128(404)));
    store.insert_key(orphan, event("key.add", "key").into()).await.unwrap();
    let message = tell_and_claim(&*store, 1).await;
    store.mark(message.id, 1, SendResult::Dead { error: "404".to_owned() }, at(0)).await.unwrap();
    store.append_events(vec![fact(2, "untold")]).await.unwrap();
    assert_eq!(
        store
            .examine(at(0))
            .await
            .unwrap()
            .iter()
            .filter(|found| found.check == "event.untold" && found.severity != Severity::Fine)
            .count(),
        0
    );
    let findings = store.examine(at(3700)).await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| finding.severity != Severity::Fine).collect();
    assert_eq!(
        wrong.iter().map(|finding| finding.check).collect::<Vec<_>>(),
        ["key.collector", "outbox.dead", "event.untold"]
    );
    assert!(wrong[0].message.contains("00000000000000000000000000000001"), "{wrong:?}");
    assert!(wrong[1].message.contains("ops"), "{wrong:?}");
    store.close().await;
}
