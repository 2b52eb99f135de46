//! Real nodes, end to end.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod client_api;
#[cfg(test)]
mod clusters;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod support;
