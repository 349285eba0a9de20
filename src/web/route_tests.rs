//! Every route of every module is in a table of who may ask for it: that of the console, of the operators and of the pages beside the console in
//! `console`, that of connecting in `connect`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The modules that have routes. One more comes with a table of its own.
const WITH_ROUTES: [&str; 9] = [
    "assets.rs",
    "callbacks/mod.rs",
    "clients.rs",
    "connect/mod.rs",
    "console/mod.rs",
    "console/operator/mod.rs",
    "health.rs",
    "sign_in/mod.rs",
    "sign_in/oidc.rs",
];

/// The routes in a module's source: the method, and the path or the name of the constant that it stands in.
pub(in crate::web) fn routes_in(source: &str) -> BTreeSet<(&str, &str)> {
    let mut routes = BTreeSet::new();
    for rest in source.split(".route(").skip(1) {
        let mut open = 0;
        let end = rest.find(|c: char| {
            open += match c {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            open < 0
        });
        let (path, handlers) = rest[..end.unwrap_or(rest.len())].split_once(',').expect("a path and who answers");
        let methods = [("GET", "get("), ("POST", "post(")].into_iter().filter(|(_, call)| handlers.contains(*call));
        routes.extend(methods.map(|(method, _)| (method, path.trim().trim_matches('"'))));
    }
    routes
}

/// The sources below a folder.
fn sources_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources_in(&path) } else { vec![path] }).collect()
}

#[test]
fn no_other_module_has_routes() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    let mut found = BTreeSet::new();
    for path in sources_in(&web) {
        let name = path.strip_prefix(&web).unwrap().to_str().unwrap().to_owned();
        let source = std::fs::read_to_string(&path).unwrap();
        let program = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
        if !name.contains("test") && program.contains(".route(") {
            found.insert(name);
        }
    }
    assert_eq!(found, BTreeSet::from(WITH_ROUTES.map(str::to_owned)));
}

#[test]
fn routes_are_read_whole() {
    let source = r#"
        .route("/one", get(show).post(change))
        .route(HOME, get(|| async { Redirect::to(HOME) }))
        .route(
            "/two/{id}",
            post(act),
        )
        .layer(get(nothing))"#;
    let expected = [("GET", "/one"), ("POST", "/one"), ("GET", "HOME"), ("POST", "/two/{id}")];
    assert_eq!(routes_in(source), BTreeSet::from(expected));
}
