//! Members and invitations, on a whole broker.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::ids::{AlertId, CollectorId, SessionId, TokenId};
use crate::base::secret::Secret;
use crate::config::Config;
use crate::domain::connection::{Found, Granter};
use crate::domain::member::{Action, Departure, LeftToken, MailAddress, Member, MemberState, Role};
use crate::domain::networks::{Purpose, Purposes};
use crate::domain::profile::{CanRenew, Evidence};
use crate::domain::revocation::Standing;
use crate::domain::team::{KeyHolder, OperatorRole};
use crate::domain::token::Reason;
use crate::outbound::mail::{FakeMail, Mail};
use crate::service::alerts::AlertError;
use crate::service::apps::{UpdateApp, default_app};
use crate::service::connect::{ConnectError, StartConnection};
use crate::service::keys::{CreateKey, KeyError};
use crate::service::profiles::{ProfileError, ProfileName, UpdateProfile};
use crate::service::renew::RenewError;
use crate::service::sessions::{Browser, ProveMailError};
use crate::service::testing::{TestBroker, ask as lease_of, x_token};
use crate::service::tokens::{AddToken, TokenError, UpdateToken};
use crate::store::{ConnectionStep, InvitationChange, MemberChange};
use crate::text::Text;

fn ask(team: &TeamId, mail: &str, role: Role) -> InviteMember {
    InviteMember {
        team: team.clone(),
        mail: mail.parse().unwrap(),
        display_name: "Ada".to_owned(),
        role,
        time_zone: Default::default(),
        language: Default::default(),
    }
}

/// A member who joined, as it calls.
async fn joined(test: &TestBroker, team: &TeamId, mail: &str, role: Role) -> Caller {
    let invited = test.broker.invite_member(&test.admin, ask(team, mail, role)).await.unwrap().member.member;
    let state = MemberState::Active { since: test.broker.now() };
    let member = Member { state, version: invited.version + 1, ..invited };
    let audit = test.broker.member_audit(&Caller::Broker, "member.join", &member, String::new());
    let change = MemberChange { invitation: InvitationChange::End, ..MemberChange::of(member.clone(), audit.into()) };
    test.broker.store.change_member(change).await.unwrap();
    Caller::Member { member: Arc::new(member), session: SessionId::generate() }
}

fn member_of(caller: &Caller) -> &Member {
    let Caller::Member { member, .. } = caller else { panic!("it is a member") };
    member
}

fn id_of(caller: &Caller) -> MemberId {
    member_of(caller).id
}

#[tokio::test]
async fn an_invitation_is_shown_once_and_kept_as_a_hash() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let made = test.broker.invite_member(&test.admin, ask(&team, "ada@example.com", Role::Owner)).await.unwrap();
    let member = &made.member.member;
    assert_eq!(made.member.invited_until, Some(test.broker.now() + invite::LINK_LASTS));
    let kept = test.broker.store.find_invitation(member.id).await.unwrap().unwrap();
    let secret = crate::domain::member::LinkKind::Invitation.read(made.secret.expose()).unwrap();
    assert_eq!(kept.hash, test.broker.invitation_hash(&secret));
    assert_ne!(kept.hash, *secret);
    assert!(test.broker.invitation_link(&made.secret).starts_with("/join?invitation=tbi_"));
    let again = test.broker.resend_invitation(&test.admin, &team, member.id).await.unwrap();
    assert!(!again.secret.matches(made.secret.expose().as_bytes()), "each link is another");
    assert_ne!(test.broker.store.find_invitation(member.id).await.unwrap().unwrap().hash, kept.hash);
    let withdrawn = test.broker.withdraw_invitation(&test.admin, &team, member.id, "").await.unwrap();
    assert_eq!(withdrawn.invited_until, None);
    let twice = test.broker.withdraw_invitation(&test.admin, &team, member.id, "").await.unwrap();
    assert_eq!(twice, withdrawn);
    test.stop().await;
}

#[tokio::test]
async fn who_granted_tokens_is_invited_by_who_may_say_whose_they_are() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let (manager, owner) = (
        joined(&test, &team, "eve@example.com", Role::Manager).await,
        joined(&test, &team, "ada@example.com", Role::Owner).await,
    );
    let given = AddToken { granted_by: "Carol@example.com".to_owned(), ..x_token("4711") };
    test.broker.add_token(&test.admin, &team, given).await.unwrap();
    let carol = ask(&team, "carol@EXAMPLE.com", Role::Member);
    let refused = test.broker.invite_member(&manager, carol.clone()).await.err().expect("it would be Carol");
    assert!(refused.to_string().contains("ask an owner"), "{refused}");
    let made = test.broker.invite_member(&owner, carol).await.unwrap().member.member.id;
    assert!(test.broker.resend_invitation(&manager, &team, made).await.is_err(), "nor by a new link");
    test.broker.resend_invitation(&test.admin, &team, made).await.unwrap();
    let other = test.broker.invite_member(&manager, ask(&team, "bob@example.com", Role::Member)).await.unwrap();
    test.broker.resend_invitation(&manager, &team, other.member.member.id).await.unwrap();
    test.stop().await;
}

#[tokio::test]
async fn one_address_is_invited_once_to_a_team() {
    let test = TestBroker::start().await;
    let (acme, zenith) = (test.team("acme").await, test.team("zenith").await);
    let first = test.broker.invite_member(&test.admin, ask(&acme, "ada@example.com", Role::Member)).await.unwrap();
    let again = test.broker.invite_member(&test.admin, ask(&acme, "ADA@example.com", Role::Member)).await;
    let Err(MemberError::MailTaken { member, .. }) = again.map(|_| ()) else { panic!("the address is taken") };
    assert_eq!(member, first.member.member.id);
    test.broker.invite_member(&test.admin, ask(&zenith, "ada@example.com", Role::Member)).await.unwrap();
    let nowhere = test.broker.invite_member(&test.admin, ask(&"nobody".parse().unwrap(), "a@b.c", Role::Member)).await;
    assert!(matches!(nowhere.map(|_| ()), Err(MemberError::TeamNotFound(_))));
    let crossed = test.broker.show_member(&zenith, first.member.member.id).await;
    assert!(matches!(crossed, Err(MemberError::NotFound { .. })), "nothing crosses teams");
    test.stop().await;
}

#[tokio::test]
async fn the_last_owner_stays_one() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let ada = joined(&test, &team, "ada@example.com", Role::Owner).await;
    let demote = UpdateMember { role: Some(Role::Member), ..UpdateMember::default() };
    let refused = test.broker.update_member(&ada, &team, id_of(&ada), &demote).await;
    assert!(matches!(refused, Err(MemberError::LastOwner(_))), "{refused:?}");
    joined(&test, &team, "bob@example.com", Role::Owner).await;
    test.broker.update_member(&ada, &team, id_of(&ada), &demote).await.unwrap();
    test.stop().await;
}

#[tokio::test]
async fn a_new_address_and_role_are_audited_with_what_they_were() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let made = test.broker.invite_member(&test.admin, ask(&team, "ada@example.com", Role::Member)).await.unwrap();
    let id = made.member.member.id;
    let mail = Some("ada@example.org".parse().unwrap());
    let change =
        UpdateMember { mail, role: Some(Role::Manager), language: Some("de".parse().unwrap()), ..Default::default() };
    let changed = test.broker.update_member(&test.admin, &team, id, &change).await.unwrap();
    assert_eq!(changed.invited_until, None, "the link went to the old address");
    let filter = crate::store::AuditFilter { action: Some("member.update".to_owned()), ..Default::default() };
    let rows = test.broker.store.list_audit(filter, 10).await.unwrap();
    assert_eq!(
        rows[0].detail,
        "mail=ada@example.org mail_before=ada@example.com role=manager role_before=member fields=language"
    );
    test.stop().await;
}

/// A broker that sends mails with links to its pages.
async fn with_mails() -> (TestBroker, Arc<FakeMail>) {
    let text = "[http]\npublic_url = \"https://tokens.example\"";
    let config = Config::read("test.toml", text, [], &[], |_| Vec::new()).unwrap();
    let test = TestBroker::start_with(config).await;
    let mails = Arc::new(FakeMail::default());
    test.broker.notices.mail_by(mails.clone());
    (test, mails)
}

fn browser() -> Browser {
    Browser { address: [192, 0, 2, 77].into(), agent: "Mozilla".to_owned() }
}

/// What the link of a mail carries.
fn proof_in(mail: &Mail) -> Secret {
    let proof = mail.text.split("/mail?proof=").nth(1).unwrap().split_whitespace().next().unwrap();
    Secret::new(proof.to_owned())
}

#[tokio::test]
async fn nobody_takes_tokens_over_by_calling_itself_after_who_granted_them() {
    let (test, mails) = with_mails().await;
    let team = test.team("acme").await;
    let given = AddToken { granted_by: "ceo@example.com".to_owned(), ..x_token("4711") };
    let token = test.broker.add_token(&test.admin, &team, given).await.unwrap().token;
    let eve = joined(&test, &team, "eve@example.com", Role::Member).await;
    let may_pause = async || {
        let member = test.broker.show_member(&team, id_of(&eve)).await.unwrap().member;
        let caller = Caller::Member { member: Arc::new(member), session: SessionId::generate() };
        test.broker.must_permit(&caller, Action::Pause, &team, On::Token(&token)).is_ok()
    };
    let ceo: MailAddress = "CEO@example.com".parse().unwrap();
    let change = UpdateMember { mail: Some(ceo.clone()), ..UpdateMember::default() };
    let refused = test.broker.update_member(&eve, &team, id_of(&eve), &change).await;
    assert!(matches!(refused, Err(MemberError::Forbidden(_))), "{refused:?}");
    test.broker.ask_for_mail(&eve, &team, id_of(&eve), ceo.clone()).await.unwrap();
    let view = test.broker.show_member(&team, id_of(&eve)).await.unwrap();
    assert_eq!((view.member.mail.as_str(), view.asked_mail.as_ref()), ("eve@example.com", Some(&ceo)));
    assert_eq!(view.invited_until, None, "it joins nobody");
    assert!(!may_pause().await, "the address is not proved");
    let sent = mails.sent();
    assert_eq!((sent.len(), sent[0].to.as_str()), (1, "CEO@example.com"), "the link goes there and nowhere else");
    let proof = proof_in(&sent[0]);
    let to = test.broker.look_at_mail(&proof, &browser()).await.unwrap();
    assert_eq!((to.member.mail.as_str(), &to.mail), ("eve@example.com", &ceo), "looking uses nothing up");
    test.broker.prove_mail(&proof, &browser()).await.unwrap();
    assert!(may_pause().await, "who reads that mail is who granted the token");
    let again = test.broker.prove_mail(&proof, &browser()).await;
    assert!(matches!(again, Err(ProveMailError::Link)), "{again:?}");
    test.stop().await;
}

#[tokio::test]
async fn a_link_to_a_new_address_ends_and_is_refused_where_it_would_prove_nothing() {
    let (test, mails) = with_mails().await;
    let team = test.team("acme").await;
    let owner = joined(&test, &team, "owner@example.com", Role::Owner).await;
    let eve = joined(&test, &team, "eve@example.com", Role::Manager).await;
    let ask = async |mail: &str| test.broker.ask_for_mail(&eve, &team, id_of(&eve), mail.parse().unwrap()).await;
    let taken = ask("owner@example.com").await;
    assert!(matches!(taken, Err(ProveMailError::Member(MemberError::MailTaken { .. }))), "{taken:?}");
    let others = test.broker.ask_for_mail(&eve, &team, id_of(&owner), "x@example.com".parse().unwrap()).await;
    assert!(matches!(others, Err(ProveMailError::Member(MemberError::Forbidden(_)))), "{others:?}");
    ask("eve@example.org").await.unwrap();
    ask("eve@example.net").await.unwrap();
    let [first, second] = [&mails.sent()[0], &mails.sent()[1]].map(proof_in);
    let gone =
        async |proof: &Secret| matches!(test.broker.prove_mail(proof, &browser()).await, Err(ProveMailError::Link));
    assert!(gone(&first).await, "the second one took its place");
    let change = UpdateMember { mail: Some("eve@example.edu".parse().unwrap()), ..UpdateMember::default() };
    test.broker.update_member(&owner, &team, id_of(&eve), &change).await.unwrap();
    assert!(gone(&second).await, "an owner's word ends what was asked for");
    test.clock.advance(Duration::from_secs(60));
    ask("eve@example.org").await.unwrap();
    test.clock.advance(Duration::from_secs(24 * 3600));
    assert!(gone(&proof_in(&mails.sent()[2])).await, "its time is over");
    for _ in 0..5 {
        ask("eve@example.org").await.unwrap();
    }
    assert!(matches!(ask("eve@example.org").await, Err(ProveMailError::TooOften(_))));
    test.stop().await;

    let silent = TestBroker::start().await;
    let team = silent.team("acme").await;
    let bob = joined(&silent, &team, "bob@example.com", Role::Member).await;
    let asked = silent.broker.ask_for_mail(&bob, &team, id_of(&bob), "b@example.com".parse().unwrap()).await;
    assert!(matches!(asked, Err(ProveMailError::NoMail)), "{asked:?}");
    silent.stop().await;
}

#[tokio::test]
async fn members_do_what_the_table_says() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let owner = joined(&test, &team, "owner@example.com", Role::Owner).await;
    let manager = joined(&test, &team, "manager@example.com", Role::Manager).await;
    let member = joined(&test, &team, "member@example.com", Role::Member).await;
    let broker = &test.broker;
    let may_invite = async |caller: &Caller, mail: &str, role| {
        let done = broker.invite_member(caller, ask(&team, mail, role)).await;
        match done {
            Ok(_) => true,
            Err(MemberError::Forbidden(_)) => false,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(may_invite(&owner, "1@example.com", Role::Owner).await);
    assert!(may_invite(&manager, "2@example.com", Role::Member).await);
    assert!(!may_invite(&manager, "3@example.com", Role::Manager).await, "nobody gives more than it may");
    assert!(!may_invite(&member, "4@example.com", Role::Member).await);
    let rename = UpdateMember { display_name: Some("N".to_owned()), ..UpdateMember::default() };
    let promote = UpdateMember { role: Some(Role::Owner), ..UpdateMember::default() };
    let may_change = async |caller: &Caller, of: &Caller, change: &UpdateMember| {
        broker.update_member(caller, &team, id_of(of), change).await.is_ok()
    };
    assert!(may_change(&member, &member, &rename).await && !may_change(&member, &manager, &rename).await);
    assert!(!may_change(&manager, &member, &rename).await && may_change(&owner, &member, &rename).await);
    assert!(!may_change(&member, &member, &promote).await, "nobody promotes itself");
    let reset = broker.resend_invitation(&manager, &team, id_of(&owner)).await.map(|_| ());
    assert!(matches!(reset, Err(MemberError::Forbidden(_))), "a manager takes over no owner");

    let zenith = test.team("zenith").await;
    let elsewhere = broker.invite_member(&owner, ask(&zenith, "x@example.com", Role::Member)).await.map(|_| ());
    assert!(matches!(elsewhere, Err(MemberError::Forbidden(Forbidden::Team(_)))), "nothing crosses teams");
    let collector: CollectorId = test.collector(&team, "worker").await.id;
    let by_collector = broker.invite_member(&test.caller(collector), ask(&team, "y@example.com", Role::Member)).await;
    assert!(matches!(by_collector.map(|_| ()), Err(MemberError::Forbidden(_))));
    test.stop().await;
}

#[tokio::test]
async fn what_members_do_to_tokens_follows_the_table() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let broker = &test.broker;
    let callers = [
        joined(&test, &team, "owner@example.com", Role::Owner).await,
        joined(&test, &team, "manager@example.com", Role::Manager).await,
        joined(&test, &team, "bob@example.com", Role::Member).await,
        joined(&test, &team, "eve@example.com", Role::Member).await,
    ];
    // Bob's token; each caller with whether it may do all but revoke it, and whether it may revoke it.
    for (place, (looks_after, ends)) in
        [(true, true), (true, true), (true, true), (false, false)].into_iter().enumerate()
    {
        let caller = &callers[place];
        let granted = AddToken { granted_by: "bob@example.com".to_owned(), ..x_token(&format!("person {place}")) };
        let id = broker.add_token(&test.admin, &team, granted).await.unwrap().token.id;
        let allowed = |result: Result<(), TokenError>| match result {
            Ok(()) => true,
            Err(TokenError::Forbidden(Forbidden::Action { .. })) => false,
            Err(error) => panic!("{error}"),
        };
        let label = UpdateToken { label: Some("n".to_owned()), ..UpdateToken::default() };
        let done = [
            allowed(broker.pause_token(caller, &team, id, "").await.map(drop)),
            allowed(broker.resume_token(caller, &team, id, "").await.map(drop)),
            allowed(broker.update_token(caller, &team, id, &label).await.map(drop)),
            !matches!(broker.renew_token(caller, &team, id).await, Err(RenewError::Token(TokenError::Forbidden(_)))),
        ];
        assert_eq!(done, [looks_after; 4], "caller {place}");
        let invalid = broker.invalidate_token(caller, &team, id, Reason::PasswordChanged, "").await;
        assert_eq!(allowed(invalid.map(drop)), looks_after, "caller {place}");
        assert_eq!(allowed(broker.revoke_token(caller, &team, id, "").await.map(drop)), ends, "caller {place}");
    }
    let zenith = test.team("zenith").await;
    let theirs = test.token(&zenith, "person").await;
    let crossed = broker.pause_token(&callers[0], &zenith, theirs, "").await;
    assert!(matches!(crossed, Err(TokenError::Forbidden(Forbidden::Team(_)))), "nothing crosses teams");
    test.stop().await;
}

#[tokio::test]
async fn everybody_of_a_team_acknowledges_its_alerts_and_nobody_else() {
    let test = TestBroker::start().await;
    let (team, zenith) = (test.team("acme").await, test.team("zenith").await);
    let nobodys = AlertId::from_u128(1);
    for (mail, role) in
        [("o@example.com", Role::Owner), ("a@example.com", Role::Manager), ("e@example.com", Role::Member)]
    {
        let caller = joined(&test, &team, mail, role).await;
        let own = test.broker.acknowledge_alert(&caller, &team, nobodys, "").await;
        assert!(matches!(own, Err(AlertError::NotFound(_))), "it may, but there is none: {own:?}");
        let foreign = test.broker.acknowledge_alert(&caller, &zenith, nobodys, "").await;
        assert!(matches!(foreign, Err(AlertError::Forbidden(Forbidden::Team(_)))), "{foreign:?}");
    }
    let collector = test.collector(&team, "worker").await.id;
    let by_collector = test.broker.acknowledge_alert(&test.caller(collector), &team, nobodys, "").await;
    assert!(matches!(by_collector, Err(AlertError::Forbidden(_))), "{by_collector:?}");
    test.stop().await;
}

/// Gives a member an account at X.
async fn with_account(test: &TestBroker, caller: &Caller, person: &str) {
    let before = test.broker.store.find_member(id_of(caller)).await.unwrap().unwrap();
    let persons = [("x".parse().unwrap(), [person.to_owned()].into())].into();
    let member = Member { persons, version: before.version + 1, ..before };
    let audit = test.broker.member_audit(&Caller::Broker, "member.account", &member, String::new());
    test.broker.store.change_member(MemberChange::of(member, audit.into())).await.unwrap();
}

async fn granted(test: &TestBroker, team: &TeamId, person: &str, by: &Caller) -> TokenId {
    let token = AddToken { granted_by: id_of(by).to_string(), profile: format!("page of {person}"), ..x_token(person) };
    test.broker.add_token(&test.admin, team, token).await.unwrap().token.id
}

fn page(team: &TeamId, person: &str) -> ProfileName {
    ProfileName { team: team.clone(), network: "x".parse().unwrap(), id: format!("page of {person}") }
}

#[tokio::test]
async fn leaving_a_team_is_one_action_with_a_report() {
    let test = TestBroker::start().await;
    let (team, broker) = (test.team("acme").await, &test.broker);
    let owner = joined(&test, &team, "owner@example.com", Role::Owner).await;
    let heir = joined(&test, &team, "heir@example.com", Role::Member).await;
    let bob = joined(&test, &team, "bob@example.com", Role::Member).await;
    let (own, shared) = (granted(&test, &team, "bob", &bob).await, granted(&test, &team, "brand", &bob).await);
    let other = granted(&test, &team, "heir", &heir).await;
    with_account(&test, &heir, "brand").await;
    broker.resend_invitation(&owner, &team, id_of(&bob)).await.unwrap();
    let owns = UpdateProfile {
        owner: Some(Some(id_of(&bob))),
        admins: Some([id_of(&bob), id_of(&heir)].into()),
        ..Default::default()
    };
    broker.update_profile(&owner, &page(&team, "bob"), owns).await.unwrap();

    let bye = RemoveMember { comment: "bye".to_owned(), keep_keys: true };
    let by_member = broker.remove_member(&heir, &team, id_of(&bob), &RemoveMember::default()).await;
    assert!(matches!(by_member, Err(MemberError::Forbidden(_))), "members take nobody out");
    let view = broker.remove_member(&owner, &team, id_of(&bob), &bye).await.unwrap();
    let standings = |view: &DepartureView| {
        view.revocations.iter().map(|(token, of)| (*token, of.standing, of.message.clone())).collect::<Vec<_>>()
    };
    assert_eq!(standings(&view), [(own, Standing::Pending, String::new())], "what is handed on is not given back");
    let report = view.departure;
    assert!(report.finished_at.is_some() && report.invitation);
    let became = |token| report.tokens.iter().find(|left| left.token == token).map(|left| left.heir);
    assert_eq!((became(own), became(shared)), (Some(None), Some(Some(id_of(&heir)))));
    assert_eq!(became(other), None, "what is another's is not touched");
    let state = async |token| broker.stored_token(&team, token).await.unwrap().token;
    assert_eq!(state(own).await.state.as_str(), "revoked");
    assert_eq!(state(other).await.state.as_str(), "live");
    assert_eq!(
        (state(shared).await.state.as_str(), state(shared).await.granted_by),
        ("live", id_of(&heir).to_string())
    );
    let let_go = broker.show_profile(&page(&team, "bob")).await.unwrap();
    assert_eq!((let_go.profile.owner, let_go.profile.admins.len()), (None, 1));
    let bobs = broker.show_member(&team, id_of(&bob)).await.unwrap();
    assert!(bobs.member.has_left() && bobs.invited_until.is_none());

    let again = broker.remove_member(&owner, &team, id_of(&bob), &bye).await.unwrap().departure;
    assert_eq!(again, report, "twice is no error, and says the same");
    assert_eq!(broker.show_departure(&team, id_of(&bob)).await.unwrap().departure, report);
    let now = test.broker.now();
    broker.store.claim_revocations(now, now + Duration::from_secs(60), 10).await.unwrap();
    let audit = broker.audit(&Caller::Broker, "token.give_back", String::new(), String::new());
    broker.store.end_revocation(own, 1, Standing::GivenUp, "ask there".to_owned(), audit).await.unwrap();
    let later = broker.show_departure(&team, id_of(&bob)).await.unwrap();
    assert_eq!(standings(&later), [(own, Standing::GivenUp, "ask there".to_owned())], "as it stands when one looks");
    let last = broker.remove_member(&test.admin, &team, id_of(&owner), &bye).await;
    assert!(matches!(last, Err(MemberError::LastOwner(_))));
    assert!(matches!(broker.show_departure(&team, id_of(&owner)).await, Err(MemberError::NotLeft(_))));
    test.stop().await;
}

#[tokio::test]
async fn what_a_member_began_to_connect_ends_when_it_leaves() {
    let test = TestBroker::start().await;
    let (team, broker) = (test.team("acme").await, &test.broker);
    let said = UpdateApp { client_id: Some("app".to_owned()), ..UpdateApp::default() };
    broker.update_app(&test.admin, &"x".parse().unwrap(), &default_app(), said).await.unwrap();
    let owner = joined(&test, &team, "owner@example.com", Role::Owner).await;
    let bob = joined(&test, &team, "bob@example.com", Role::Member).await;
    let start = async |by: &Caller, granter: Granter| {
        let purposes = [Purpose::CollectContent].into_iter().collect();
        let (network, kind) = ("x".to_owned(), "user".to_owned());
        let ask = StartConnection { network, kind, purposes, granter, ..StartConnection::default() };
        broker.start_connection(by, &team, ask).await.unwrap().connection.id
    };
    let for_colleague = start(&bob, Granter::Named("Ann".to_owned())).await;
    let bound = start(&owner, Granter::Member(id_of(&bob))).await;
    let other = start(&owner, Granter::Named("Ann".to_owned())).await;
    let report = broker.remove_member(&owner, &team, id_of(&bob), &RemoveMember::default()).await.unwrap().departure;
    assert!(report.connections.len() == 2 && [for_colleague, bound].iter().all(|id| report.connections.contains(id)));
    let stage = async |id| broker.show_connection(&team, id).await.unwrap().stage.as_str();
    assert_eq!(
        (stage(for_colleague).await, stage(bound).await, stage(other).await),
        ("cancelled", "cancelled", "offered")
    );
    // One that was started in the very moment, and so was not seen, goes no further either.
    let late = start(&bob, Granter::Named("Ann".to_owned())).await;
    let mut choosing = broker.store.find_connection(late).await.unwrap().unwrap();
    choosing.connection = choosing.connection.choose(Found::default());
    let audit = broker.member_audit(&Caller::Broker, "connection.settle", member_of(&bob), String::new());
    let step = ConnectionStep { stored: choosing, gives_back: None, trail: audit.into() };
    assert!(broker.store.change_connection(step).await.unwrap());
    let refused = broker.complete_connection(&test.admin, &team, late, &[], "").await;
    assert!(matches!(refused, Err(ConnectError::Left)), "{refused:?}");
    test.stop().await;
}

#[tokio::test]
async fn keys_that_a_member_made_are_revoked_or_listed_when_it_leaves() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let owner = joined(&test, &team, "owner@example.com", Role::Owner).await;
    let worker = test.collector(&team, "worker").await;
    let holder = KeyHolder::Collector(team.clone(), worker.id);
    for (mail, keep_keys) in [("ada@example.com", true), ("bob@example.com", false)] {
        let manager = joined(&test, &team, mail, Role::Manager).await;
        let make = async |by: &Caller| test.broker.create_key(by, CreateKey::of(holder.clone())).await.unwrap().0.id;
        let (ended, made, other) = (make(&manager).await, make(&manager).await, make(&owner).await);
        test.broker.revoke_key(&manager, ended, "").await.unwrap();
        test.clock.advance(Duration::from_secs(1));
        let how = RemoveMember { keep_keys, ..RemoveMember::default() };
        let report = test.broker.remove_member(&owner, &team, id_of(&manager), &how).await.unwrap().departure;
        let expected = if keep_keys { (vec![made], vec![]) } else { (vec![], vec![made]) };
        assert_eq!((report.keys, report.revoked_keys), expected, "{mail}");
        let works = |key| test.broker.directory.key(key).unwrap().works(test.broker.now());
        assert_eq!((works(made), works(other)), (keep_keys, true), "{mail}");
    }
    let operators = test.broker.create_key(&owner, CreateKey::of(KeyHolder::Operator(OperatorRole::Reader))).await;
    assert!(matches!(operators, Err(KeyError::Forbidden(_))), "members make no operator's key");
    test.stop().await;
}

#[tokio::test]
async fn a_leaving_that_a_crash_interrupted_is_finished_by_the_next_start() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    joined(&test, &team, "owner@example.com", Role::Owner).await;
    let bob = joined(&test, &team, "bob@example.com", Role::Member).await;
    let tokens = [granted(&test, &team, "one", &bob).await, granted(&test, &team, "two", &bob).await];
    // As a crash leaves it: the member is out, one token is noted and not revoked yet, the other one is not even noted.
    let before = test.broker.store.find_member(id_of(&bob)).await.unwrap().unwrap();
    let member = Member { state: before.state.leave(test.broker.now()), version: before.version + 1, ..before };
    let mut begun = Departure::begin(member.id, test.broker.now(), 0, false);
    begun.tokens.push(LeftToken { token: tokens[0], heir: None });
    let audit = test.broker.member_audit(&Caller::Broker, "member.leave", &member, String::new());
    let change = MemberChange { departure: Some(begun), ..MemberChange::of(member, audit.into()) };
    test.broker.store.change_member(change).await.unwrap();

    let test = test.restart().await;
    assert_eq!(Text::english().tell_of(&test.broker.finish_departures().await.unwrap()), "1 went on");
    let report = test.broker.show_departure(&team, id_of(&bob)).await.unwrap().departure;
    assert_eq!(report.tokens.iter().map(|left| left.token).collect::<Vec<_>>(), tokens);
    assert!(report.finished_at.is_some());
    for token in tokens {
        assert_eq!(test.broker.stored_token(&team, token).await.unwrap().token.state.as_str(), "revoked");
    }
    assert_eq!(Text::english().tell_of(&test.broker.finish_departures().await.unwrap()), "None waits");
    test.stop().await;
}

#[tokio::test]
async fn who_administers_a_profile_looks_after_its_tokens() {
    let test = TestBroker::start().await;
    let (team, broker) = (test.team("acme").await, &test.broker);
    let owner = joined(&test, &team, "owner@example.com", Role::Owner).await;
    let bob = joined(&test, &team, "bob@example.com", Role::Member).await;
    let eve = joined(&test, &team, "eve@example.com", Role::Member).await;
    let token = granted(&test, &team, "owner", &owner).await;
    let name = page(&team, "owner");
    assert!(broker.pause_token(&bob, &team, token, "").await.is_err());
    let admins = |caller: &Caller| UpdateProfile { admins: Some([id_of(caller)].into()), ..UpdateProfile::default() };
    let refused = broker.update_profile(&eve, &name, admins(&eve)).await;
    assert!(matches!(refused, Err(ProfileError::Forbidden(_))), "nobody names itself");
    broker.update_profile(&owner, &name, admins(&bob)).await.unwrap();
    broker.pause_token(&bob, &team, token, "").await.unwrap();
    assert!(broker.revoke_token(&bob, &team, token, "").await.is_err(), "it is still not its own");
    assert_eq!(broker.show_profile(&name).await.unwrap().told, Some(id_of(&owner)), "who connected it is told");
    let nobody = UpdateProfile { owner: Some(Some(MemberId::from_u128(9))), ..UpdateProfile::default() };
    assert!(matches!(broker.update_profile(&owner, &name, nobody).await, Err(ProfileError::NoMember(_))));

    let managers = broker.list_managers(&name).await.unwrap();
    let told: Vec<_> = managers.iter().map(|manager| (manager.member.id, manager.can, manager.may)).collect();
    assert_eq!(
        told,
        [
            (id_of(&owner), CanRenew::Yes, true),
            (id_of(&bob), CanRenew::Unknown, true),
            (id_of(&eve), CanRenew::Unknown, false)
        ]
    );
    let test = test.restart().await;
    assert_eq!(test.broker.show_profile(&name).await.unwrap().profile.admins, [id_of(&bob)].into());
    test.stop().await;
}

#[tokio::test]
async fn a_profile_connected_by_two_members_has_two_who_can_renew() {
    let test = TestBroker::start().await;
    let (team, broker) = (test.team("acme").await, &test.broker);
    let ada = joined(&test, &team, "ada@example.com", Role::Owner).await;
    let bob = joined(&test, &team, "bob@example.com", Role::Member).await;
    let of = |person: &str, by: &Caller| AddToken {
        granted_by: id_of(by).to_string(),
        profile: "brand".to_owned(),
        ..x_token(person)
    };
    broker.add_token(&test.admin, &team, of("ada", &ada)).await.unwrap();
    let bobs = broker.add_token(&test.admin, &team, of("bob", &bob)).await.unwrap().token.id;
    let name = ProfileName { team: team.clone(), network: "x".parse().unwrap(), id: "brand".to_owned() };
    let told = async || {
        let managers = broker.list_managers(&name).await.unwrap();
        managers.into_iter().map(|manager| (manager.member.id, manager.can, manager.evidence)).collect::<Vec<_>>()
    };
    let holds = |caller: &Caller| (id_of(caller), CanRenew::Yes, Evidence::HoldsToken);
    assert_eq!(told().await, [holds(&ada), holds(&bob)]);
    assert_eq!(broker.show_profile(&name).await.unwrap().told, Some(id_of(&ada)), "the first who connected it");
    let lost = crate::domain::token::Reason::PermissionLost;
    broker.invalidate_token(&test.admin, &team, bobs, lost, "").await.unwrap();
    assert_eq!(told().await, [holds(&ada), (id_of(&bob), CanRenew::No, Evidence::LostPermission)]);
    test.stop().await;
}

#[tokio::test]
async fn a_withdrawn_purpose_is_leased_no_more_at_once_and_does_not_come_back() {
    let test = TestBroker::start().await;
    let (team, broker) = (test.team("acme").await, &test.broker);
    let ada = joined(&test, &team, "ada@example.com", Role::Manager).await;
    let bob = joined(&test, &team, "bob@example.com", Role::Member).await;
    let token = granted(&test, &team, "bob", &bob).await;
    let worker = test.caller(test.collector(&team, "worker").await.id);
    let held = broker.acquire_lease(&worker, lease_of(&team, 1)).await.unwrap();
    let collects: Purposes = [Purpose::CollectContent].into_iter().collect();
    let foreign = broker.withdraw_consent(&ada, (&team, token), collects, "").await;
    assert!(matches!(foreign, Err(TokenError::Forbidden(_))), "what a person agreed to is the person's");
    let view = broker.withdraw_consent(&bob, (&team, token), collects, "enough").await.unwrap();
    assert!(!view.now.purposes.contains(Purpose::CollectContent));
    assert_eq!((view.history.len(), view.history[0].member), (1, Some(id_of(&bob))));
    let refused = broker.acquire_lease(&worker, lease_of(&team, 1)).await;
    assert!(refused.is_err(), "no lease is given for it");
    assert_eq!(
        broker.engine.count_leases(|lease| lease.lease == held.lease && !lease.recalled),
        0,
        "and those that are held are recalled"
    );
    let again = broker.withdraw_consent(&bob, (&team, token), collects, "enough").await.unwrap();
    assert_eq!(again, view, "twice is no error");
    let back = UpdateToken { purposes: Some(collects), ..UpdateToken::default() };
    let back = broker.update_token(&test.admin, &team, token, &back).await;
    assert!(matches!(back, Err(TokenError::NotAgreed(_))), "{back:?}");
    let imported = broker.stored_token(&team, token).await.unwrap().token;
    let imported = crate::domain::token::Token { purposes: collects, ..imported };
    assert!(
        broker.kept_to_consent(imported).await.unwrap().purposes.is_empty(),
        "an import brings nothing back either"
    );
    let filter = crate::store::AuditFilter { action: Some("consent.withdraw".to_owned()), ..Default::default() };
    let rows = broker.store.list_audit(filter, 10).await.unwrap();
    assert_eq!((rows.len(), rows[0].detail.as_str()), (1, "withdrawn=collect_content comment=enough"));
    let test = test.restart().await;
    assert_eq!(test.broker.show_consent(&team, token).await.unwrap(), view);
    test.stop().await;
}
