//! A host: what ssh knows it by, and the address by which nodes and clients reach it.

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::process::{Command, Stdio};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::RemoteError;

/// A host as it was given: `HOST`, or `HOST=ADDRESS`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host {
    /// What ssh is told: a name from the user's configuration, `name`, `user@name`.
    pub name: String,
    /// The address that was given; without one, ssh's configuration says which.
    pub address: Option<Ipv4Addr>,
}

impl Host {
    /// The address by which nodes and clients reach it: the one that was given, or that of the name
    /// which ssh's configuration has for it.
    ///
    /// # Errors
    /// There is no ssh, or no such IPv4 address.
    pub fn resolve(&self) -> Result<Ipv4Addr, RemoteError> {
        if let Some(address) = self.address {
            return Ok(address);
        }
        let failed = |why: String| RemoteError::NoAddress {
            host: self.name.clone(),
            why,
        };
        let mut command = Command::new("ssh");
        let output = command
            .args(["-G", "--", &self.name])
            .stdin(Stdio::null())
            .output();
        let output = output.map_err(|error| no_ssh(&self.name, &error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(failed(format!("ssh said: {}", said.trim())));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let name = text.lines().find_map(|line| line.strip_prefix("hostname "));
        let name = name.unwrap_or(&self.name);
        let found = (name, 0)
            .to_socket_addrs()
            .map_err(|error| failed(error.to_string()))?;
        let mut v4 = found.filter_map(|address| match address.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        v4.next()
            .ok_or_else(|| failed(format!("{name} has no IPv4 address")))
    }
}

/// Why ssh itself could not be started.
pub(super) fn no_ssh(host: &str, error: &std::io::Error) -> RemoteError {
    RemoteError::NoConnection {
        host: host.to_owned(),
        why: match error.kind() {
            ErrorKind::NotFound => "there is no program ssh here".into(),
            _ => format!("cannot run ssh: {error}"),
        },
        hint: "Debian, Ubuntu: `apt-get install openssh-client`",
    }
}

impl FromStr for Host {
    type Err = RemoteError;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        let problem = |why: &str| RemoteError::NoHost {
            given: given.to_owned(),
            why: why.to_owned(),
        };
        let (name, address) = match given.split_once('=') {
            Some((name, address)) => (name, Some(address)),
            None => (given, None),
        };
        if name.is_empty() {
            return Err(problem("it has no name"));
        }
        // It would be an option of ssh.
        if name.starts_with('-') || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(problem(
                "expected a name as ssh takes it, such as user@name",
            ));
        }
        let address = address.map(str::parse::<Ipv4Addr>).transpose();
        let address = address
            .map_err(|_| problem("expected an IPv4 address behind `=`, as in a=10.1.2.3"))?;
        if address.is_some_and(|address| address.is_unspecified() || address.is_multicast()) {
            return Err(problem("that is the address of no host"));
        }
        Ok(Host {
            name: name.to_owned(),
            address,
        })
    }
}

impl TryFrom<String> for Host {
    type Error = RemoteError;

    fn try_from(given: String) -> Result<Self, Self::Error> {
        given.parse()
    }
}

impl From<Host> for String {
    fn from(host: Host) -> String {
        host.to_string()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{}={address}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_perhaps_an_address() {
        let rows = [
            ("a", Ok(("a", None))),
            ("me@a.example.org", Ok(("me@a.example.org", None))),
            ("a=10.1.2.3", Ok(("a", Some([10, 1, 2, 3])))),
            ("", Err("it has no name")),
            ("=10.1.2.3", Err("it has no name")),
            ("-oProxyCommand=x", Err("a name as ssh takes it")),
            ("a b", Err("a name as ssh takes it")),
            ("a=b", Err("an IPv4 address behind")),
            ("a=::1", Err("an IPv4 address behind")),
            ("a=0.0.0.0", Err("of no host")),
        ];
        for (given, expected) in rows {
            match (given.parse::<Host>(), expected) {
                (Ok(host), Ok((name, address))) => {
                    assert_eq!((&*host.name, host.address), (name, address.map(Into::into)));
                    assert_eq!(host.to_string(), given);
                }
                (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{error}"),
                (got, expected) => panic!("{given}: {got:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn an_address_that_was_given_needs_no_look_up() {
        let host: Host = "nowhere.invalid=10.1.2.3".parse().unwrap();
        assert_eq!(host.resolve().unwrap(), Ipv4Addr::new(10, 1, 2, 3));
    }
}
