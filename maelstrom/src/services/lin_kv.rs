//! `lin-kv`: a linearizable key-value store, one map.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Request, Service, error_body};
use crate::message::Body;

#[derive(Debug, Default)]
pub(super) struct LinKv {
    values: BTreeMap<String, Json>,
}

impl Service for LinKv {
    fn answer(&mut self, _: &str, request: &Body) -> Body {
        let ran = Request::parse(request).and_then(|(key, request)| {
            let (after, answer) = request.run(self.values.get(&key))?;
            if let Some(after) = after {
                self.values.insert(key, after);
            }
            Ok(answer)
        });
        ran.unwrap_or_else(error_body)
    }
}
