//! The statements of each operation.

use histories::Value;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::session::{Parameters, Session};
use super::{ACCOUNTS, BALANCE, Isolation, Step, balances};
use crate::Invocation;
use crate::clients::data::{element_in, element_text, text_of};
use crate::clients::{Class, Data};

/// Does an operation.
pub(super) async fn perform(
    session: &mut Session,
    data: Data,
    isolation: Isolation,
    invocation: &Invocation,
    until: Instant,
) -> Step<Value> {
    let Invocation { f, key, value } = invocation;
    let key = match key {
        None if data == Data::Bank => "",
        key => match key.as_ref().and_then(Value::as_text) {
            Some(key) => key,
            None => return Err(Class::NotDone("the key is no text".to_owned())),
        },
    };
    let refusal = || Class::NotDone(format!("a {f} of the value {value}"));
    let number = |value: &Value| value.as_int().ok_or_else(refusal);
    let text = |value: &Value| text_of(value).ok_or_else(refusal);
    let mut on = On {
        session,
        key,
        until,
    };
    match (data, &**f) {
        (Data::Register, "read") => on.read::<i64>(NUMBER).await.map(or_nil),
        (Data::Counter, "read") => {
            let found = on.read::<i64>(NUMBER).await?;
            Ok(found.unwrap_or(0).into())
        }
        (Data::Kv, "get") => on.read::<String>(TEXT).await.map(or_nil),
        (Data::List, "read") => {
            let text = on.read::<String>(TEXT).await?.unwrap_or_default();
            elements(text.lines())
        }
        (Data::Register, "write") => {
            let statement = "INSERT INTO ww_number VALUES ($1, $2)
                             ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            on.change(statement, &[&key, &number(value)?]).await
        }
        (Data::Counter, "add") => {
            let statement = "INSERT INTO ww_number AS held VALUES ($1, $2)
                             ON CONFLICT (key) DO UPDATE SET value = held.value + excluded.value";
            on.change(statement, &[&key, &number(value)?]).await
        }
        (Data::Kv, "put") => {
            let statement = "INSERT INTO ww_text VALUES ($1, $2)
                             ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            on.change(statement, &[&key, &text(value)?]).await
        }
        (Data::Kv, "append") => on.append(text(value)?).await,
        (Data::List, "append") => {
            // One element a line.
            let element = element_text(value).ok_or_else(refusal)?;
            on.append(format!("{element}\n")).await
        }
        (Data::Register | Data::Kv, "cas") => match value.as_list() {
            Some([old, new]) => on.cas(data, old, new).await,
            _ => Err(refusal()),
        },
        (Data::Kv, "delete") => {
            on.count("DELETE FROM ww_text WHERE key = $1", &[&key])
                .await
        }
        (Data::Set, "add") => {
            let statement = "INSERT INTO ww_element VALUES ($1, $2) ON CONFLICT DO NOTHING";
            let element = element_text(value).ok_or_else(refusal)?;
            on.change(statement, &[&key, &element]).await
        }
        (Data::Set, "read") => {
            let statement = "SELECT element FROM ww_element WHERE key = $1";
            let rows = on.session.query(statement, &[&key], until).await?;
            let names: Vec<String> = rows.iter().map(|row| column(row, 0)).collect::<Step<_>>()?;
            elements(names.iter().map(String::as_str))
        }
        (Data::Bank, "read") => {
            let statement = "SELECT account, balance FROM ww_account WHERE bank = $1";
            let rows = on.session.query(statement, &[&key], until).await?;
            let rows = rows
                .iter()
                .map(|row| Ok((column(row, 0)?, column(row, 1)?)));
            Ok(balances(&rows.collect::<Step<Vec<_>>>()?))
        }
        (Data::Bank, "transfer") => {
            let member = |name: &str| value.get(name).and_then(Value::as_int);
            match (member("from"), member("to"), member("amount")) {
                (Some(from), Some(to), Some(amount @ 0..)) => {
                    on.transfer(isolation, from, to, amount).await
                }
                _ => Err(refusal()),
            }
        }
        (data, f) => {
            let workload = data.workload();
            let why = format!(
                "the client of PostgreSQL has no operation {f} for the workload {workload}"
            );
            Err(Class::NotDone(why))
        }
    }
}

const NUMBER: &str = "SELECT value FROM ww_number WHERE key = $1";
const TEXT: &str = "SELECT value FROM ww_text WHERE key = $1";

/// The statements of one operation: in one session, on one key, until one moment.
struct On<'a> {
    session: &'a mut Session,
    key: &'a str,
    until: Instant,
}

impl On<'_> {
    async fn read<T: for<'r> FromSql<'r>>(&mut self, statement: &str) -> Step<Option<T>> {
        let rows = self
            .session
            .query(statement, &[&self.key], self.until)
            .await?;
        rows.first().map(|row| column(row, 0)).transpose()
    }

    async fn change(&mut self, statement: &str, parameters: Parameters<'_>) -> Step<Value> {
        let done = self
            .session
            .execute(statement, parameters, self.until)
            .await;
        done.map(|_| Value::Nil)
    }

    /// Whether the statement changed a row.
    async fn count(&mut self, statement: &str, parameters: Parameters<'_>) -> Step<Value> {
        let rows = self
            .session
            .execute(statement, parameters, self.until)
            .await?;
        Ok((rows > 0).into())
    }

    async fn append(&mut self, more: String) -> Step<Value> {
        let statement = "INSERT INTO ww_text AS held VALUES ($1, $2)
                         ON CONFLICT (key) DO UPDATE SET value = held.value || excluded.value";
        let key = self.key;
        self.change(statement, &[&key, &more]).await
    }

    async fn cas(&mut self, data: Data, old: &Value, new: &Value) -> Step<Value> {
        let refusal = || Class::NotDone(format!("a cas of the values {old} and {new}"));
        let key = self.key;
        let table = match data {
            Data::Register => "ww_number",
            _ => "ww_text",
        };
        let insert = format!("INSERT INTO {table} VALUES ($1, $2) ON CONFLICT DO NOTHING");
        let update = format!("UPDATE {table} SET value = $3 WHERE key = $1 AND value = $2");
        if data == Data::Register {
            let new = new.as_int().ok_or_else(refusal)?;
            match old {
                Value::Nil => self.count(&insert, &[&key, &new]).await,
                old => {
                    let old = old.as_int().ok_or_else(refusal)?;
                    self.count(&update, &[&key, &old, &new]).await
                }
            }
        } else {
            let new = text_of(new).ok_or_else(refusal)?;
            match old {
                Value::Nil => self.count(&insert, &[&key, &new]).await,
                old => {
                    let old = text_of(old).ok_or_else(refusal)?;
                    self.count(&update, &[&key, &old, &new]).await
                }
            }
        }
    }

    /// Moves an amount in one transaction; whether there was enough. A transaction that was not
    /// committed goes with its session.
    async fn transfer(
        &mut self,
        isolation: Isolation,
        from: i64,
        to: i64,
        amount: i64,
    ) -> Step<Value> {
        let until = self.until;
        self.session.control(isolation.begin(), until).await?;
        match self.transfer_inside(from, to, amount).await {
            Ok(moved) => {
                // Also what was only looked at counts only once it is committed.
                self.session.commit(until).await?;
                Ok(moved.into())
            }
            Err(class) => {
                // Where the session still answers it can be used again.
                if self.session.is_idle() {
                    let _ = self.session.control("ROLLBACK", until).await;
                }
                Err(class)
            }
        }
    }

    async fn transfer_inside(&mut self, from: i64, to: i64, amount: i64) -> Step<bool> {
        let (key, until) = (self.key, self.until);
        let statement = "SELECT balance FROM ww_account WHERE bank = $1 AND account = $2";
        let rows = self.session.query(statement, &[&key, &from], until).await?;
        let held = rows.first().map(|row| column::<i64>(row, 0)).transpose()?;
        if held.unwrap_or(BALANCE) < amount {
            return Ok(false);
        }
        if !ACCOUNTS.contains(&from) || !ACCOUNTS.contains(&to) {
            let why = format!("there is no account {from} or {to}");
            return Err(Class::NotDone(why));
        }
        let statement = "INSERT INTO ww_account AS held VALUES ($1, $2, $4::bigint + $3::bigint)
                         ON CONFLICT (bank, account) DO UPDATE SET balance = held.balance + $3";
        for (account, change) in [(from, -amount), (to, amount)] {
            let parameters: Parameters<'_> = &[&key, &account, &change, &BALANCE];
            self.session
                .execute_inside(statement, parameters, until)
                .await?;
        }
        Ok(true)
    }
}

fn or_nil<T: Into<Value>>(found: Option<T>) -> Value {
    found.map_or(Value::Nil, Into::into)
}

/// A column of a row that was read.
fn column<T: for<'r> FromSql<'r>>(row: &Row, place: usize) -> Step<T> {
    row.try_get(place)
        .map_err(|error| Class::NotDone(format!("an unexpected row: {error}")))
}

/// Only reads make lists of elements.
fn elements<'a>(texts: impl Iterator<Item = &'a str>) -> Step<Value> {
    let elements = texts.map(|text| {
        let odd = || Class::NotDone(format!("unexpected element {text:?}"));
        element_in(text).ok_or_else(odd)
    });
    elements.collect::<Step<Vec<_>>>().map(Value::List)
}
