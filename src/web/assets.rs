//! What pages load beside themselves: style, scripts, the networks' marks and the icons. All of it is in the program and comes from a folder
//! that is named by its content, so that browsers may keep it for good and never mix two versions. Beside it stands the manifest, by which phones
//! put the console on the home screen: on iPhones only what stands there gets push messages.

use std::sync::LazyLock;

use aws_lc_rs::digest::{Context, SHA256};
use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use crate::base::hex::push_hex;

/// What browsers may do with it.
const KEPT: &str = "public, max-age=31536000, immutable";
/// Bytes of the digest in the folder's name.
const NAMED_BY: usize = 8;

struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $content_type:literal, $path:literal) => {
        Asset { name: $name, content_type: $content_type, content: include_bytes!(concat!("../../assets/", $path)) }
    };
}

const ASSETS: [Asset; 9] = [
    asset!("console.css", "text/css; charset=utf-8", "console.css"),
    asset!("console.js", "text/javascript; charset=utf-8", "console.js"),
    asset!("push.js", "text/javascript; charset=utf-8", "push.js"),
    asset!("marks.svg", "image/svg+xml", "marks.svg"),
    asset!("icon-192.png", "image/png", "icon-192.png"),
    asset!("icon-512.png", "image/png", "icon-512.png"),
    asset!("htmx.js", "text/javascript; charset=utf-8", "vendor/htmx/htmx.min.js"),
    asset!("uplot.js", "text/javascript; charset=utf-8", "vendor/uplot/uPlot.iife.min.js"),
    asset!("uplot.css", "text/css; charset=utf-8", "vendor/uplot/uPlot.min.css"),
];

/// The networks that there is a mark for.
static MARKS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let sprite = find("marks.svg").and_then(|asset| std::str::from_utf8(asset.content).ok());
    sprite.unwrap_or_default().split("<symbol id=\"").skip(1).filter_map(|symbol| symbol.split('"').next()).collect()
});

static FOLDER: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Context::new(&SHA256);
    for asset in &ASSETS {
        digest.update(asset.name.as_bytes());
        digest.update(asset.content);
    }
    let mut name = String::new();
    push_hex(&mut name, &digest.finish().as_ref()[..NAMED_BY]);
    name
});

/// The routes.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{folder}/{name}", get(serve)).route("/manifest.webmanifest", get(manifest))
}

/// Where an asset is.
pub fn url(name: &str) -> String {
    format!("/assets/{}/{name}", *FOLDER)
}

/// Where the mark of a network is; `None`: there is none.
pub fn mark(network: &str) -> Option<String> {
    MARKS.contains(&network).then(|| format!("{}#{network}", url("marks.svg")))
}

fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// How the console stands on a home screen. It has no folder of its own: phones look at it again where they found it.
async fn manifest() -> Response {
    let icon = |size: u32, purpose: &str| {
        let src = url(&format!("icon-{size}.png"));
        json!({ "src": src, "sizes": format!("{size}x{size}"), "type": "image/png", "purpose": purpose })
    };
    let manifest = json!({
        "id": "/",
        "name": "token-broker",
        "short_name": "Tokens",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#0f766e",
        "theme_color": "#0f766e",
        "icons": [icon(192, "any"), icon(512, "any"), icon(512, "maskable")],
    });
    let headers = [(header::CONTENT_TYPE, "application/manifest+json"), (header::CACHE_CONTROL, "no-cache")];
    (headers, manifest.to_string()).into_response()
}

async fn serve(Path((folder, name)): Path<(String, String)>) -> Response {
    // A page of an earlier program asks for what is not there any more: it gets what there is, and keeps it not.
    let kept = if folder == *FOLDER { KEPT } else { "no-store" };
    match find(&name) {
        Some(asset) => {
            ([(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, kept)], asset.content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
