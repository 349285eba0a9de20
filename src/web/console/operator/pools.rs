//! The live pools: what the books of each network hold, class by class and bucket by bucket.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::base::ids::{NetworkId, TokenId};
use crate::domain::pool::{BucketView, ClassBooks};
use crate::service::Broker;
use crate::service::pools::PoolView;
use crate::web::console::filter::address;
use crate::web::console::paging::Pages;
use crate::web::console::refused::refused;
use crate::web::console::tokens::grouped;
use crate::web::console::{OperatorVisit, Place, Shell, When};
use crate::web::page::shown;

/// Buckets on a page.
const ON_A_PAGE: usize = 100;

#[derive(Template)]
#[template(path = "console/operator/pools.html")]
struct PoolsPage {
    shell: Shell,
    rows: Vec<PoolRow>,
}

/// The pool of a network.
struct PoolRow {
    id: String,
    name: String,
    tokens: String,
    leases: String,
    waiting: String,
    buckets: String,
}

impl PoolRow {
    fn of(pool: &PoolView) -> Self {
        Self {
            id: pool.network.id.to_string(),
            name: pool.network.display_name.clone(),
            tokens: grouped(pool.counts.tokens as u64),
            leases: grouped(pool.counts.leases as u64),
            waiting: grouped(pool.waiting as u64),
            buckets: grouped(pool.counts.buckets as u64),
        }
    }
}

/// The pools of all networks.
pub(super) async fn list(State(broker): State<Broker>, visit: OperatorVisit) -> Response {
    let shell = visit.shell(&broker, Place::Pools);
    match broker.list_pools(&visit.caller()) {
        Ok(pools) => shown(StatusCode::OK, &PoolsPage { rows: pools.iter().map(PoolRow::of).collect(), shell }),
        Err(error) => refused(shell, &error),
    }
}

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// Only the buckets of this token.
    token: String,
    /// Where the page begins.
    from: usize,
}

#[derive(Template)]
#[template(path = "console/operator/pool.html")]
struct PoolPage {
    shell: Shell,
    here: String,
    pool: PoolRow,
    classes: Vec<ClassRow>,
    token: String,
    /// The token that is asked for is none of this network.
    unknown: bool,
    buckets: Vec<BucketRow>,
    pages: Pages,
}

/// What the buckets of a class hold together.
struct ClassRow {
    class: String,
    about: String,
    buckets: String,
    cap: String,
    spent: String,
    outstanding: String,
    left: String,
    cooling: u64,
}

/// A bucket.
struct BucketRow {
    key: String,
    class: String,
    limit: String,
    spent: String,
    outstanding: String,
    left: String,
    over: bool,
    resets: Option<(When, String)>,
    cooling: Option<(When, String)>,
}

/// The pool of one network.
pub(super) async fn show(
    State(broker): State<Broker>,
    visit: OperatorVisit,
    Path(network): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Pools);
    let network = match network.parse::<NetworkId>() {
        Ok(network) => network,
        Err(_) => return StatusCode::NOT_FOUND.into_response(),
    };
    let caller = visit.caller();
    let (asking, of) = (broker.clone(), network.clone());
    let books = tokio::task::spawn_blocking({
        let caller = caller.clone();
        move || asking.show_books(&caller, &of)
    });
    let (pool, sums) = match books.await {
        Ok(Ok(books)) => books,
        Ok(Err(error)) => return refused(shell, &error),
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let token = asked.token.trim();
    let found = match token.parse::<TokenId>() {
        Ok(token) => broker.list_buckets_of(&caller, &network, token),
        Err(_) if token.is_empty() => broker.list_buckets(&caller, &network, asked.from, ON_A_PAGE + 1),
        Err(_) => Ok(Vec::new()),
    };
    let buckets = match found {
        Ok(buckets) => buckets,
        Err(error) => return refused(shell, &error),
    };
    let unknown = buckets.is_empty() && !token.is_empty();
    let more = token.is_empty() && buckets.len() > ON_A_PAGE;
    let shown_buckets = if more { &buckets[..ON_A_PAGE] } else { &buckets[..] };
    let path = format!("/operator/pools/{network}");
    let page_from = |from: usize| address(&path, &[("from", &if from > 0 { from.to_string() } else { String::new() })]);
    let class_row = |(class, sum): (&usize, &ClassBooks)| {
        let class = pool.network.classes.get(*class);
        ClassRow {
            class: class.map(|class| class.id.to_string()).unwrap_or_default(),
            about: class.map(|class| class.about.clone()).unwrap_or_default(),
            buckets: grouped(sum.buckets),
            cap: grouped(sum.cap),
            spent: grouped(sum.spent),
            outstanding: grouped(sum.outstanding),
            left: grouped(sum.left),
            cooling: sum.cooling,
        }
    };
    let page = PoolPage {
        here: address(
            &path,
            &[("token", token), ("from", &if asked.from > 0 { asked.from.to_string() } else { String::new() })],
        ),
        classes: sums.iter().map(class_row).collect(),
        buckets: shown_buckets.iter().map(|bucket| bucket_row(&shell, &pool, bucket)).collect(),
        // The books are in memory, and in an order that stays.
        pages: Pages {
            first: (asked.from > 0).then(|| page_from(0)),
            previous: (asked.from > 0).then(|| page_from(asked.from.saturating_sub(ON_A_PAGE))),
            next: more.then(|| page_from(asked.from + ON_A_PAGE)),
        },
        token: token.to_owned(),
        unknown,
        pool: PoolRow::of(&pool),
        shell,
    };
    shown(StatusCode::OK, &page)
}

fn bucket_row(shell: &Shell, pool: &PoolView, bucket: &BucketView) -> BucketRow {
    let ahead = |at: crate::base::clock::Timestamp| (shell.when(at), shell.far(at));
    let network = format!("{}/", pool.network.id);
    BucketRow {
        key: bucket.key.strip_prefix(network.as_str()).unwrap_or(&bucket.key).to_owned(),
        class: pool.network.classes.get(bucket.class).map(|class| class.id.to_string()).unwrap_or_default(),
        limit: match bucket.cap == bucket.limit {
            true => grouped(bucket.limit),
            false => shell.say_with(
                "bucket-limit",
                &[("cap", grouped(bucket.cap).into()), ("limit", grouped(bucket.limit).into())],
            ),
        },
        spent: grouped(bucket.spent),
        outstanding: grouped(bucket.outstanding),
        left: grouped(bucket.left),
        over: bucket.spent.saturating_add(bucket.outstanding) > bucket.limit,
        resets: bucket.resets_at.filter(|at| *at > shell.now).map(ahead),
        cooling: bucket.cooling_until.filter(|at| *at > shell.now).map(ahead),
    }
}
