//! Pages of a list, forwards and back, by links that need no script.
//!
//! A page begins behind a row, its *cursor*, which the address names; so rows that come and go meanwhile shift nothing. The address also names
//! the cursors of the pages before it, its *trail*: by the last of them one goes back.

/// What parts the cursors of a trail: no cursor holds it.
const PART: char = '-';
/// Stands for the oldest cursors of a trail that was too long.
const FORGOTTEN: &str = "x";
/// The longest trail, in bytes. Of a longer one the oldest cursors are forgotten: from the page where it then ends one goes to the first.
const LONGEST: usize = 2_000;

/// Where the pages around one are; `None`: there is none, or it is the page itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pages {
    /// The first.
    pub(super) first: Option<String>,
    /// The one before.
    pub(super) previous: Option<String>,
    /// The one behind.
    pub(super) next: Option<String>,
}

impl Pages {
    /// The pages around the one that begins behind `cursor` (empty: the first one) and has this trail, both as its address says them.
    /// `next`: behind what the next one begins. `address`: where a page with a cursor and a trail is.
    pub(super) fn around(
        (cursor, trail): (&str, &str),
        next: Option<&str>,
        address: impl Fn(&str, &str) -> String,
    ) -> Self {
        let next = next.map(|next| address(next, &longer(trail, cursor)));
        if cursor.is_empty() {
            return Self { next, ..Self::default() };
        }
        let (before, last) = trail.rsplit_once(PART).unwrap_or(("", trail));
        let previous = (last != FORGOTTEN).then(|| address(last, before));
        Self { first: Some(address("", "")), previous, next }
    }
}

/// A trail, with one more cursor; that of the first page is none.
fn longer(trail: &str, cursor: &str) -> String {
    let mut longer = match (trail, cursor) {
        (_, "") => return String::new(),
        ("", cursor) => cursor.to_owned(),
        (trail, cursor) => format!("{trail}{PART}{cursor}"),
    };
    while longer.len() > LONGEST {
        let known = longer.strip_prefix(FORGOTTEN).and_then(|rest| rest.strip_prefix(PART)).unwrap_or(&longer);
        longer = match known.split_once(PART) {
            Some((_, kept)) => format!("{FORGOTTEN}{PART}{kept}"),
            None => FORGOTTEN.to_owned(),
        };
    }
    longer
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::http::StatusCode;

    use super::*;
    use crate::domain::member::Role;
    use crate::web::console::testing::{Answer, Scene};

    fn pages(cursor: &str, trail: &str, next: Option<&str>) -> Pages {
        Pages::around((cursor, trail), next, |cursor, trail| format!("{cursor}|{trail}"))
    }

    /// The cursor and the trail that a link names.
    fn named(link: &str) -> (String, String) {
        let (cursor, trail) = link.split_once('|').unwrap();
        (cursor.to_owned(), trail.to_owned())
    }

    #[test]
    fn one_comes_back_by_the_way_that_one_went() {
        let (mut cursor, mut trail, mut went) = (String::new(), String::new(), Vec::new());
        for page in 1..=40 {
            went.push(cursor.clone());
            let around = pages(&cursor, &trail, Some(&format!("tok_{page}")));
            assert_eq!((around.first.is_some(), around.previous.is_some()), (page > 1, page > 1), "{page}");
            (cursor, trail) = named(&around.next.unwrap());
        }
        while let Some(before) = went.pop() {
            let around = pages(&cursor, &trail, None);
            assert_eq!(around.first.as_deref(), Some("|"));
            (cursor, trail) = named(&around.previous.unwrap());
            assert_eq!(cursor, before);
        }
        assert_eq!((cursor, trail), (String::new(), String::new()), "on the first page");
    }

    #[test]
    fn a_trail_is_bounded_and_does_not_pretend_to_know_what_it_forgot() {
        let (mut cursor, mut trail) = (String::new(), String::new());
        for page in 0..200 {
            let next = format!("tok_{page:032}");
            (cursor, trail) = named(&pages(&cursor, &trail, Some(&next)).next.unwrap());
            assert!(trail.len() <= LONGEST, "{trail}");
        }
        let mut back = 0;
        while let Some(link) = pages(&cursor, &trail, None).previous {
            (cursor, trail) = named(&link);
            back += 1;
        }
        assert!((50..199).contains(&back) && !cursor.is_empty(), "{back}: {cursor}");
        assert_eq!(pages(&cursor, &trail, None).first.as_deref(), Some("|"), "the first page is always in reach");
    }

    /// The tokens that a page names, and its links by their words.
    fn read(page: &Answer) -> (Vec<String>, BTreeMap<&'static str, String>) {
        assert_eq!(page.status, StatusCode::OK);
        let token = |rest: &str| rest.split(['"', '/']).next().unwrap_or_default().to_owned();
        let mut tokens: Vec<_> = page.body.split("href=\"/tokens/").skip(1).map(token).collect();
        tokens.dedup();
        let nav = page.body.split("<nav class=\"pages\"").nth(1).unwrap_or_default().split("</nav>").next().unwrap();
        let named = ["First page", "Previous page", "Next page"].into_iter().filter_map(|words| {
            let before = nav.split(&format!(">{words}</a>")).next().filter(|before| before.len() < nav.len())?;
            let href = before.rsplit("href=\"").next()?.split('"').next()?.replace("&#38;", "&");
            Some((words, href))
        });
        (tokens, named.collect())
    }

    #[tokio::test]
    async fn one_goes_forth_and_back_whatever_goes_meanwhile_and_the_filters_stay() {
        let scene = Scene::start().await;
        let owner = scene.member("Ada", Role::Owner).await;
        for nth in 0..120 {
            scene.test.token(&scene.team, &format!("person-{nth}")).await;
        }
        for (path, filter) in [("/tokens?network=x", "network=x"), ("/activity?action=token.add", "action=token.add")] {
            let (first, links) = read(&owner.get(path).await);
            assert_eq!(links.keys().copied().collect::<Vec<_>>(), ["Next page"], "{path}");
            let (second, of_second) = read(&owner.get(&links["Next page"]).await);
            let (third, of_third) = read(&owner.get(&of_second["Next page"]).await);
            assert_eq!((first.len(), second.len(), third.len()), (50, 50, 20), "{path}");
            assert!(!of_third.contains_key("Next page"), "{path}");
            for link in of_second.values().chain(of_third.values()) {
                assert!(link.contains(filter), "{path}: {link}");
            }
            // Rows of the first page go; the second begins where it began.
            for token in first.iter().take(5) {
                owner.post(&format!("/tokens/{token}/revoke"), "word=revoke").await;
            }
            let (back, links) = read(&owner.get(&of_third["Previous page"]).await);
            assert_eq!(back, second, "{path}");
            let (start, _) = read(&owner.get(&links["Previous page"]).await);
            let gone = if path.starts_with("/tokens") { 5 } else { 0 };
            assert_eq!(start[..50 - gone], first[gone..], "{path}");
            assert_eq!(links["Previous page"], links["First page"], "{path}");
        }
        scene.stop().await;
    }

    #[test]
    fn a_trail_that_somebody_made_up_leads_nowhere_else() {
        for trail in ["-", "--", "a--b", "nonsense"] {
            let around = pages("tok_2", trail, Some("tok_3"));
            assert!(around.first.is_some() && around.next.is_some(), "{trail}");
        }
    }
}
