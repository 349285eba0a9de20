//! Texts that many tokens share, kept once.

use std::collections::HashMap;
use std::sync::Arc;

/// Gives each text a small number.
#[derive(Debug, Default)]
pub struct Names {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Names {
    /// The number of `text`, which is kept from now on.
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).expect("fewer than 2^32 texts fit into memory");
        let kept: Arc<str> = text.into();
        self.texts.push(kept.clone());
        self.numbers.insert(kept, number);
        number
    }

    /// The number of `text`, if it was seen before.
    pub fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// The text of `number`.
    pub fn text(&self, number: u32) -> &Arc<str> {
        &self.texts[number as usize]
    }
}
