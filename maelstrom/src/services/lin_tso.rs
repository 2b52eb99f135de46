//! `lin-tso`: timestamps, each greater than all before.

use serde_json::{Value as Json, json};

use super::{Service, error_body, unsupported};
use crate::message::{Body, body};

#[derive(Debug, Default)]
pub(super) struct LinTso {
    next: u64,
}

impl Service for LinTso {
    fn answer(&mut self, _: &str, request: &Body) -> Body {
        match request.get("type").and_then(Json::as_str) {
            Some("ts") => {
                let ts = self.next;
                self.next += 1;
                body(json!({"type": "ts_ok", "ts": ts}))
            }
            other => error_body(unsupported(other)),
        }
    }
}
