//! Who collects what in the demonstration: two teams, their tokens, their collections, and when demand changes.
//!
//! Rates are in calls per minute of the simulated networks. Beside each stands what the team's tokens can carry there after the
//! owner's reserve of a tenth, from the catalogue's documented limits.

use std::time::Duration;

use crate::grpc::pb;

/// The part of the story that is playing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scene {
    /// Both teams collect what their tokens carry.
    Usual,
    /// One team collects more than its tokens carry.
    Outgrown,
    /// One team uses up a limit that belongs to its app.
    AppLimit,
}

impl Scene {
    /// The scene after `elapsed` of `whole`: each has a third.
    pub fn at(elapsed: Duration, whole: Duration) -> Scene {
        let third = whole / 3;
        match elapsed {
            elapsed if elapsed < third => Scene::Usual,
            elapsed if elapsed < third * 2 => Scene::Outgrown,
            _ => Scene::AppLimit,
        }
    }

    /// What people are told when it begins.
    pub fn announcement(self) -> &'static str {
        match self {
            Scene::Usual => "acme and globex collect with their members' tokens, and these can carry it",
            Scene::Outgrown => {
                "acme starts a campaign: it asks for 1.25 times the searches that its 3 X tokens can give"
            }
            Scene::AppLimit => {
                "globex starts to search YouTube: 90 a day for its whole project, however many tokens it has"
            }
        }
    }
}

/// Tokens of one kind that a team begins with.
#[derive(Debug, Clone, Copy)]
pub struct TokenPlan {
    /// The team.
    pub team: &'static str,
    /// The network.
    pub network: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// One token per entry; the number is its profile's `engaged_users`, where limits are worked out from them.
    pub engaged_users: &'static [u64],
    /// Whether each speaks for a profile of its own.
    pub has_profile: bool,
}

/// How a worker talks to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One call at a time.
    Unary,
    /// One stream for everything.
    Stream,
}

/// When calls are wanted.
#[derive(Debug, Clone, Copy)]
pub enum Rate {
    /// So many a minute, evenly.
    Even(f64),
    /// So many at once, again after this span; the first after one span.
    Batch(u32, Duration),
}

/// One collection and the worker that does it.
#[derive(Debug, Clone, Copy)]
pub struct CollectionPlan {
    /// The team.
    pub team: &'static str,
    /// The network.
    pub network: &'static str,
    /// The operation.
    pub operation: &'static str,
    /// The credit class that people watch.
    pub class: &'static str,
    /// The class as people call it.
    pub label: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What the token is used for.
    pub purpose: pb::Purpose,
    /// The kind of token; empty: any.
    pub kind: &'static str,
    /// The path under the network's API base; `{profile}` stands for the lease's profile, `{n}` for a number.
    pub path: &'static str,
    /// Whether each call is about a page of the team, which its own token must serve.
    pub per_profile: bool,
    /// Calls per lease.
    pub chunk: u32,
    /// When calls are wanted.
    pub rate: Rate,
    /// The scene in which it begins.
    pub begins: Scene,
    /// How it talks to the broker.
    pub way: Way,
}

/// The team whose demand outgrows its tokens, and where.
pub const OUTGROWN: (&str, &str, &str) = ("acme", "x", "user");

/// The teams, with the names that people read.
pub const TEAMS: [(&str, &str); 2] = [("acme", "Acme Analytics"), ("globex", "Globex Media")];

/// The budget of posts that X's app has bought: enough that it never runs out here.
pub const CREDIT_TO_POSTS: u64 = 1_000_000_000;

/// The networks that are simulated.
pub const NETWORKS: [&str; 4] = ["facebook", "pinterest", "x", "youtube"];

/// The tokens at the beginning.
pub const TOKENS: [TokenPlan; 6] = [
    tokens("acme", "x", "user", &[0, 0, 0]),
    TokenPlan { has_profile: true, ..tokens("acme", "facebook", "page", &[2, 1, 3]) },
    tokens("globex", "x", "user", &[0, 0]),
    tokens("globex", "x", "app", &[0]),
    tokens("globex", "youtube", "user", &[0, 0]),
    tokens("globex", "pinterest", "user", &[0]),
];

const fn tokens(
    team: &'static str,
    network: &'static str,
    kind: &'static str,
    engaged_users: &'static [u64],
) -> TokenPlan {
    TokenPlan { team, network, kind, engaged_users, has_profile: false }
}

/// The collections.
pub const COLLECTIONS: [CollectionPlan; 8] = [
    // 3 user tokens: 3 × 270 searches in 15 minutes = 54 a minute; load 0.5.
    CollectionPlan {
        team: "acme",
        network: "x",
        operation: "tweets.search_recent",
        class: "search_recent",
        label: "X searches",
        name: "brand-watch",
        purpose: pb::Purpose::CollectContent,
        kind: "user",
        path: "/tweets/search/recent?query=brand{n}",
        per_profile: false,
        chunk: 5,
        rate: Rate::Even(27.0),
        begins: Scene::Usual,
        way: Way::Stream,
    },
    // With this one: 67.5 a minute; load 1.25, and with 5 tokens 0.75.
    CollectionPlan {
        team: "acme",
        network: "x",
        operation: "tweets.search_recent",
        class: "search_recent",
        label: "X searches",
        name: "campaign",
        purpose: pb::Purpose::CollectContent,
        kind: "user",
        path: "/tweets/search/recent?query=campaign{n}",
        per_profile: false,
        chunk: 5,
        rate: Rate::Even(40.5),
        begins: Scene::Outgrown,
        way: Way::Stream,
    },
    // 3 page tokens with 2, 1 and 3 engaged users: 6 × 4320 calls in 24 hours = 18 a minute, sustained; half of it is asked for.
    CollectionPlan {
        team: "acme",
        network: "facebook",
        operation: "page.insights",
        class: "calls",
        label: "Facebook pages",
        name: "page-statistics",
        purpose: pb::Purpose::CollectStatistics,
        kind: "page",
        path: "/{profile}/insights?metric=page_impressions",
        per_profile: true,
        chunk: 3,
        rate: Rate::Even(9.0),
        begins: Scene::Usual,
        way: Way::Unary,
    },
    // 2 user tokens: 36 a minute; load 0.67.
    CollectionPlan {
        team: "globex",
        network: "x",
        operation: "tweets.search_recent",
        class: "search_recent",
        label: "X searches",
        name: "news-desk",
        purpose: pb::Purpose::CollectContent,
        kind: "user",
        path: "/tweets/search/recent?query=news{n}",
        per_profile: false,
        chunk: 4,
        rate: Rate::Even(24.0),
        begins: Scene::Usual,
        way: Way::Unary,
    },
    // The app's own token: 270 counts in 15 minutes = 18 a minute, sustained; half of it is asked for.
    CollectionPlan {
        team: "globex",
        network: "x",
        operation: "tweets.counts_recent",
        class: "counts_recent",
        label: "X tweet counts",
        name: "volumes",
        purpose: pb::Purpose::CollectStatistics,
        kind: "app",
        path: "/tweets/counts/recent?query=volume{n}",
        per_profile: false,
        chunk: 3,
        rate: Rate::Even(9.0),
        begins: Scene::Usual,
        way: Way::Unary,
    },
    // 9000 units a day = 6.25 a minute, whatever the number of tokens; half of it is asked for.
    CollectionPlan {
        team: "globex",
        network: "youtube",
        operation: "channels.list",
        class: "units",
        label: "YouTube stats",
        name: "channel-statistics",
        purpose: pb::Purpose::CollectStatistics,
        kind: "user",
        path: "/channels?part=statistics&id=channel{n}",
        per_profile: false,
        chunk: 3,
        rate: Rate::Even(3.0),
        begins: Scene::Usual,
        way: Way::Stream,
    },
    // 90 searches a day, whatever the number of tokens: used up within a quarter of an hour.
    CollectionPlan {
        team: "globex",
        network: "youtube",
        operation: "search.list",
        class: "search",
        label: "YouTube search",
        name: "trend-search",
        purpose: pb::Purpose::CollectContent,
        kind: "user",
        path: "/search?part=snippet&q=trend{n}",
        per_profile: false,
        chunk: 2,
        rate: Rate::Even(6.0),
        begins: Scene::AppLimit,
        way: Way::Stream,
    },
    // 54 calls a minute. A batch is more than a minute's credit, so a part of it always waits, and yet the load is 0.65.
    CollectionPlan {
        team: "globex",
        network: "pinterest",
        operation: "pins.analytics",
        class: "org_analytics",
        label: "Pinterest pins",
        name: "pin-statistics",
        purpose: pb::Purpose::CollectStatistics,
        kind: "user",
        path: "/pins/{n}/analytics",
        per_profile: false,
        chunk: 9,
        rate: Rate::Batch(70, Duration::from_secs(120)),
        begins: Scene::Usual,
        way: Way::Unary,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::networks::Catalogue;

    #[test]
    fn the_catalogue_has_all_that_is_collected() {
        let catalogue = Catalogue::embedded();
        for plan in COLLECTIONS {
            let network = catalogue.network(plan.network).expect(plan.network);
            let index = network.operation_index(plan.operation).expect(plan.operation);
            let operation = &network.operations[index];
            assert!(operation.costs.iter().any(|cost| cost.class.as_str() == plan.class), "{}", plan.name);
            assert!(
                operation.purposes.iter().any(|purpose| crate::grpc::convert::from_purpose(*purpose) == plan.purpose)
            );
            assert!(NETWORKS.contains(&plan.network) && TEAMS.iter().any(|(team, _)| *team == plan.team));
            let served = TOKENS.iter().any(|tokens| {
                (tokens.team, tokens.network, tokens.kind) == (plan.team, plan.network, plan.kind)
                    && tokens.has_profile == plan.per_profile
                    && network.kind(tokens.kind).is_some_and(|kind| operation.allows(&kind.id))
            });
            assert!(served, "{} has no token", plan.name);
        }
    }

    #[test]
    fn each_scene_has_a_third() {
        let whole = Duration::from_secs(75);
        let cases = [
            (0, Scene::Usual),
            (24, Scene::Usual),
            (25, Scene::Outgrown),
            (50, Scene::AppLimit),
            (99, Scene::AppLimit),
        ];
        for (second, scene) in cases {
            assert_eq!(Scene::at(Duration::from_secs(second), whole), scene, "{second}");
        }
    }
}
