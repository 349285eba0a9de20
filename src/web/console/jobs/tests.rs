//! The pages of renewals of whole networks.

use axum::http::StatusCode;

use crate::base::ids::{JobId, TokenId};
use crate::domain::job::{Hindrance, Outcome};
use crate::domain::member::Role;
use crate::service::jobs::TokenResult;
use crate::service::testing::x_token;
use crate::service::tokens::AddToken;
use crate::web::console::testing::{HOSTILE, Scene};

/// A job with this many results, of which the last one asks for a person, and one that failed.
async fn job(scene: &Scene, results: u128) -> JobId {
    let (broker, x) = (scene.broker(), "x".parse().unwrap());
    let given = AddToken { label: HOSTILE.to_owned(), ..x_token("4711") };
    let named = broker.add_token(scene.admin(), &scene.team, given).await.unwrap().token.id;
    let job = broker.renew_all(scene.admin(), &scene.team, &x).await.unwrap().id;
    let result =
        |token, outcome| TokenResult { token, outcome, hindrance: None, message: String::new(), at: broker.now() };
    let renewed = (1..results).map(|n| result(TokenId::from_u128(n), Outcome::Renewed));
    let hindered =
        TokenResult { hindrance: Some(Hindrance::Incident), ..result(TokenId::from_u128(results), Outcome::Failed) };
    let all = renewed.chain([result(named, Outcome::NeedsPerson), hindered]).collect();
    broker.store.note_results(job, all).await.unwrap();
    job
}

#[tokio::test]
async fn what_a_person_must_see_to_comes_first_by_its_name_and_the_rest_is_behind_it() {
    let scene = Scene::start().await;
    let ada = scene.member("Ada", Role::Member).await;
    let none = ada.get("/jobs").await.body;
    assert!(none.contains("Nobody has tried") && !none.contains("<select name=\"network\">"), "{none}");
    let manager = scene.member("Max", Role::Manager).await;
    assert!(!manager.get("/jobs").await.body.contains("<select name=\"network\">"), "there is nothing to renew");
    let nothing = manager.post("/jobs", "network=x").await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(nothing.body.contains("Your team has no token of X"), "{}", nothing.body);
    assert!(scene.broker().list_jobs(&scene.team, None, 1).await.unwrap().is_empty(), "nothing was begun");
    let job = job(&scene, 150).await;
    let offered = manager.get("/jobs").await.body;
    assert!(offered.contains("<option value=\"x\">X</option>") && offered.matches("<option").count() == 1, "{offered}");
    let list = ada.get("/jobs").await;
    assert!(list.body.contains(&format!("href=\"/jobs/{job}\"")) && list.body.contains("149 renewed"), "{}", list.body);
    let page = ada.get(&format!("/jobs/{job}")).await;
    page.must_be_tame();
    let rows: Vec<_> = page.body.split("<tr><td>").skip(1).collect();
    assert_eq!(rows.len(), 100);
    assert!(rows[0].contains("Needs a person") && rows[0].contains("script"), "{}", rows[0]);
    assert!(rows[1].contains("An incident is open at the network."), "{}", rows[1]);
    let next =
        page.body.split("\" rel=\"next\"").next().unwrap().rsplit("href=\"").next().unwrap().replace("&#38;", "&");
    let rest = ada.get(&next).await;
    assert_eq!((rest.status, rest.body.matches("<tr><td>").count()), (StatusCode::OK, 51), "{}", rest.body);
    assert!(!rest.body.contains("Needs a person"), "each is shown once");
    for path in ["/jobs/nonsense", "/jobs/job_01hzzzzzzzzzzzzzzzzzzzzzzz"] {
        let none = ada.get(path).await;
        assert!(none.status == StatusCode::NOT_FOUND && none.body.contains("Not found"), "{path}: {}", none.body);
    }
    let zoe = scene.stranger().await;
    assert!(zoe.get("/jobs").await.body.contains("Nobody has tried"));
    assert_eq!(zoe.get(&format!("/jobs/{job}")).await.status, StatusCode::NOT_FOUND);
    scene.stop().await;
}
