//! The words of facts about what the broker itself is set up with.

use super::{NAME, Parts};
use crate::domain::notice::neutral;

/// That what is stored of an app or a destination does not open.
pub(super) fn secret_damaged(name: &str) -> Parts {
    let name = neutral(name, NAME);
    [
        format!("What is stored of {name} is damaged"),
        format!("What the broker stored of {name}, sealed, does not open."),
        "Somebody changed the store, or it is damaged.".to_owned(),
        "What needs it: through an app no account is connected and no token is renewed, and to a destination nothing is sent."
            .to_owned(),
        "Set it anew, and find out who changed the store. What could not be sent meanwhile is tried again, and then kept as a dead letter."
            .to_owned(),
    ]
}

/// That the receiver of a destination is not there any more.
pub(super) fn destination_gone(name: &str) -> Parts {
    let name = neutral(name, NAME);
    [
        format!("Nothing is sent to \"{name}\" any more"),
        format!("The receiver of the destination \"{name}\" says that it is not there any more."),
        "It answered a message with 410 (Gone).".to_owned(),
        "All that the team is told there.".to_owned(),
        "Change the destination, or send it a test once its receiver is there again. If it is of no use any more, delete it.".to_owned(),
    ]
}
