//! Requests to whichever node leads.

use serde_json::{Value, json};

use crate::support::{Client, Cluster};

impl Cluster {
    /// Sends a request to the leader, whoever it is, until it is served.
    pub fn request(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        self.request_in_session(method, path, body, &[])
    }

    pub fn request_in_session(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, String)],
    ) -> Value {
        self.eventually(&format!("{method} {path}"), || {
            let mut client = Client::connect(self.address(&self.leader())).ok()?;
            let answer = client.send(method, path, body.as_ref(), headers).ok()?;
            (answer.status == 200).then_some(answer.body)
        })
    }

    pub fn put(&self, key: &str, value: &str) {
        self.request(
            "PUT",
            &format!("/kv/{key}"),
            Some(json!({ "value": value })),
        );
    }

    pub fn get(&self, key: &str) -> Value {
        self.request("GET", &format!("/kv/{key}"), None)["value"].clone()
    }
}
