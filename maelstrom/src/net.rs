//! The network: takes every message that is sent, decides what becomes of it, and delivers it when
//! its time has come.
//!
//! Each message has a deadline of its own, so that none keeps another waiting. What is due at once
//! is delivered by whoever sends it; a thread delivers the rest.

use std::collections::{BTreeMap, BinaryHeap};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cluster::switch::LinkRule;
use faults::{CLIENTS, Name, Rule, RuleCounts};
use histories::Value;
use serde_json::Value as Json;

use crate::journal::Journal;
use crate::link::{Departure, Dropped, Link, Weather};
use crate::message::{Body, Message, is_client};
use crate::services::{self, SERVICES, Service};
use crate::stats::Stats;

/// How often the log of messages is handed to the system.
const FLUSH: Duration = Duration::from_millis(200);
/// Under way at once, at most; a run that has more cannot go on.
const FLIGHTS_MAX: usize = 2_000_000;
/// The port of all clients.
const CLIENTS_PORT: u8 = 200;
/// The port of the first service.
const SERVICES_PORT: u8 = 201;

/// The network of a run.
#[derive(Clone)]
pub struct Net(Arc<Shared>);

struct Shared {
    start: Instant,
    state: Mutex<State>,
    /// Told when the next deadline may have changed.
    changed: Condvar,
    failure: OnceLock<String>,
}

struct State {
    is_over: bool,
    /// The nodes' names, in order: their ports are numbered from 1.
    nodes: Vec<Name>,
    seed: u64,
    weather: Weather,
    links: BTreeMap<(u8, u8), Link>,
    rules: Vec<Rule>,
    /// What rules did that are no more, by fault.
    retired: BTreeMap<u64, RuleCounts>,
    flights: BinaryHeap<Flight>,
    /// Orders flights that are due at the same time.
    next_flight: u64,
    next_id: u64,
    next_client: u64,
    clients: BTreeMap<Name, Sender<Message>>,
    /// The client that starts nodes: no fault reaches what it sends and gets.
    init_client: Option<Name>,
    inboxes: BTreeMap<Name, SyncSender<String>>,
    services: BTreeMap<Name, Box<dyn Service>>,
    stats: Stats,
    /// The moment from which the log counts, since the network's beginning.
    zero_ns: i64,
    journal: Journal,
}

/// A copy of a message under way.
struct Flight {
    departure: Departure,
    order: u64,
    link: (u8, u8),
    /// The message's number on its link.
    number: u64,
    is_copy: bool,
    message: Message,
}

/// A message names somebody who does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("has the `{field}` {name:?}, and there is no node, client or service of that name")]
pub(crate) struct Stranger {
    /// Where it names them.
    pub field: &'static str,
    /// Whom.
    pub name: Name,
}

impl Net {
    /// A network between these nodes, the services and clients, whose time began at `start`.
    pub(crate) fn new(
        nodes: Vec<Name>,
        seed: u64,
        weather: Weather,
        journal: Journal,
        start: Instant,
    ) -> Self {
        let of_name = |name: &str| Some((Name::from(name), services::by_name(name, seed)?));
        let state = State {
            is_over: false,
            nodes,
            seed,
            weather,
            links: BTreeMap::new(),
            rules: Vec::new(),
            retired: BTreeMap::new(),
            flights: BinaryHeap::new(),
            next_flight: 0,
            next_id: 0,
            next_client: 0,
            clients: BTreeMap::new(),
            init_client: None,
            inboxes: BTreeMap::new(),
            services: SERVICES.into_iter().filter_map(of_name).collect(),
            stats: Stats::default(),
            zero_ns: 0,
            journal,
        };
        Net(Arc::new(Shared {
            start,
            state: Mutex::new(state),
            changed: Condvar::new(),
            failure: OnceLock::new(),
        }))
    }

    /// Starts the thread that delivers what is not due at once. It ends with [`Net::close`].
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn deliver_in_background(&self) -> std::io::Result<()> {
        let net = self.clone();
        let thread = thread::Builder::new().name("router".to_owned());
        thread.spawn(move || net.deliver()).map(drop)
    }

    fn deliver(&self) {
        let mut flushed = Instant::now();
        let mut state = self.state();
        while !state.is_over {
            let now_ns = self.now_ns();
            state.run_due(now_ns);
            if flushed.elapsed() >= FLUSH {
                state.journal.flush();
                flushed = Instant::now();
            }
            let next_ns = state.flights.peek().map(|flight| flight.departure.due_ns);
            let wait = next_ns.map_or(FLUSH, |next_ns| {
                Duration::from_nanos(next_ns.saturating_sub(self.now_ns())).min(FLUSH)
            });
            let waited = self.0.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.journal.flush();
    }

    /// Nothing is delivered any more.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_over = true;
        state.journal.flush();
        self.0.changed.notify_all();
    }

    /// From now on the log of messages counts time from this moment; what was before has less.
    pub fn begin(&self, zero: Instant) {
        let zero_ns = zero.saturating_duration_since(self.0.start).as_nanos();
        self.state().zero_ns = i64::try_from(zero_ns).unwrap_or(i64::MAX);
    }

    /// Why the run cannot go on, if so.
    pub fn failure(&self) -> Option<&str> {
        self.0.failure.get().map(String::as_str)
    }

    /// The run cannot go on. The first reason stands.
    pub fn fail(&self, why: String) {
        let _ = self.0.failure.set(why);
    }

    /// A fresh client, and the messages that it gets.
    pub(crate) fn new_client(&self) -> (Name, Receiver<Message>) {
        let (sender, inbox) = channel();
        let mut state = self.state();
        let name = Name::from(format!("c{}", state.next_client));
        state.next_client += 1;
        state.clients.insert(name.clone(), sender);
        (name, inbox)
    }

    /// The client has gone: what still comes for it is dropped.
    pub(crate) fn remove_client(&self, name: &str) {
        self.state().clients.remove(name);
    }

    /// No fault reaches what this client sends and gets.
    pub(crate) fn set_init_client(&self, name: Name) {
        self.state().init_client = Some(name);
    }

    /// A node was started: from now on it gets what comes for it into this inbox, and before that
    /// the message that starts it.
    pub(crate) fn open_inbox(&self, node: &Name, inbox: SyncSender<String>, src: Name, init: Body) {
        let mut state = self.state();
        state.inboxes.insert(node.clone(), inbox);
        let now_ns = self.now_ns();
        state.send(now_ns, Message::new(src, node.clone(), init));
    }

    /// The node is down.
    pub(crate) fn close_inbox(&self, node: &Name) {
        self.state().inboxes.remove(node);
    }

    /// Sends a message, on the link from who wrote it to whom it is for.
    ///
    /// # Errors
    /// When it names somebody who does not exist.
    pub(crate) fn send(&self, message: Message) -> Result<(), Stranger> {
        let mut state = self.state();
        let now_ns = self.now_ns();
        for (field, name) in [("src", &message.src), ("dest", &message.dest)] {
            if !state.is_known(name) {
                let name = name.clone();
                return Err(Stranger { field, name });
            }
        }
        state.send(now_ns, message);
        state.run_due(now_ns);
        let is_crowded = state.flights.len() > FLIGHTS_MAX;
        drop(state);
        self.0.changed.notify_all();
        if is_crowded {
            self.fail(format!("more than {FLIGHTS_MAX} messages are under way"));
        }
        Ok(())
    }

    /// From now on messages are treated by these rules and by no others. What a delay or a
    /// reordering that is no more still holds goes on at once.
    pub(crate) fn set_rules(&self, rules: &[Rule]) {
        let mut state = self.state();
        let now_ns = self.now_ns();
        state.set_rules(now_ns, rules);
        state.run_due(now_ns);
        drop(state);
        self.0.changed.notify_all();
    }

    /// What the rules of this fault have done so far.
    pub(crate) fn counts(&self, fault: u64) -> RuleCounts {
        let state = self.state();
        let mut total = state.retired.get(&fault).copied().unwrap_or_default();
        for link in state.links.values() {
            link.rule_counts(fault)
                .for_each(|counts| add(&mut total, counts));
        }
        total
    }

    /// How many messages there were, for so many operations.
    pub fn stats(&self, operations: u64) -> Value {
        self.state().stats.to_value(operations)
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each step leaves it consistent; what a panic elsewhere interrupted is a message lost.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_known(&self, name: &Name) -> bool {
        self.nodes.contains(name) || self.services.contains_key(name) || self.is_client_name(name)
    }

    /// Whether there is or was such a client: answers may come late.
    fn is_client_name(&self, name: &str) -> bool {
        let number = name
            .strip_prefix('c')
            .and_then(|number| number.parse().ok());
        number.is_some_and(|number: u64| number < self.next_client)
    }

    fn port(&self, name: &Name) -> u8 {
        if is_client(name) {
            return CLIENTS_PORT;
        }
        // A plan has at most 31 nodes.
        if let Some(place) = self.nodes.iter().position(|node| node == name) {
            return place as u8 + 1;
        }
        let place = SERVICES.iter().position(|service| **service == **name);
        SERVICES_PORT + place.unwrap_or(0) as u8
    }

    fn link(&mut self, ports: (u8, u8), now_ns: u64) -> &mut Link {
        if !self.links.contains_key(&ports) {
            let is_of_clients = ports.0 == CLIENTS_PORT || ports.1 == CLIENTS_PORT;
            let weather = match is_of_clients {
                true => Weather::default(),
                false => self.weather,
            };
            let mut link = Link::new(self.seed, ports.0, ports.1, weather);
            link.replace(self.rules_of(ports, now_ns));
            self.links.insert(ports, link);
        }
        self.links
            .entry(ports)
            .or_insert_with(|| Link::new(self.seed, ports.0, ports.1, Weather::default()))
    }

    fn send(&mut self, now_ns: u64, message: Message) {
        self.next_id += 1;
        let message = Message {
            id: self.next_id,
            ..message
        };
        self.stats.sent(&message);
        self.journal.sent(self.log_time(now_ns), &message);
        let init_client = self.init_client.as_ref();
        if init_client.is_some_and(|name| [&message.sender, &message.dest].contains(&name)) {
            self.hand_over(now_ns, message);
            return;
        }
        let ports = (self.port(&message.sender), self.port(&message.dest));
        let (number, fate) = self.link(ports, now_ns).judge(now_ns);
        match fate {
            Err(why) => self.drop_message(now_ns, why, &message),
            Ok(copies) => {
                self.stats.duplicated(copies.len() as u64 - 1);
                for (place, departure) in copies.into_iter().enumerate() {
                    self.next_flight += 1;
                    self.flights.push(Flight {
                        departure,
                        order: self.next_flight,
                        link: ports,
                        number,
                        is_copy: place > 0,
                        message: message.clone(),
                    });
                }
            }
        }
    }

    fn drop_message(&mut self, now_ns: u64, why: Dropped, message: &Message) {
        self.stats.dropped(why);
        self.journal
            .dropped(self.log_time(now_ns), why.name(), message);
    }

    /// Delivers everything that is due.
    fn run_due(&mut self, now_ns: u64) {
        while self
            .flights
            .peek()
            .is_some_and(|flight| flight.departure.due_ns <= now_ns)
        {
            if let Some(flight) = self.flights.pop() {
                self.arrive(now_ns, flight);
            }
        }
    }

    fn arrive(&mut self, now_ns: u64, flight: Flight) {
        let link = self.link(flight.link, now_ns);
        if !flight.is_copy && link.delivered(flight.number) {
            if let Some(fault) = flight.departure.overtakable {
                link.count_overtaken(fault);
            }
            self.stats.overtaken();
        }
        self.hand_over(now_ns, flight.message);
    }

    /// Gives a message to whom it is for.
    fn hand_over(&mut self, now_ns: u64, message: Message) {
        if let Some(service) = self.services.get_mut(&message.dest) {
            let mut answer = service.answer(&message.src, &message.body);
            self.received(now_ns, &message);
            if let Some(msg_id) = message.msg_id() {
                answer.insert("in_reply_to".to_owned(), Json::from(msg_id));
            }
            self.send(now_ns, Message::new(message.dest, message.src, answer));
            return;
        }
        if is_client(&message.dest) {
            let sender = self.clients.get(&message.dest);
            match sender.map(|sender| sender.send(message.clone())) {
                Some(Ok(())) => self.received(now_ns, &message),
                _ => self.drop_message(now_ns, Dropped::ClientGone, &message),
            }
            return;
        }
        let inbox = self.inboxes.get(&message.dest);
        match inbox.map(|inbox| inbox.try_send(message.to_line())) {
            Some(Ok(())) => self.received(now_ns, &message),
            Some(Err(TrySendError::Full(_))) => {
                self.drop_message(now_ns, Dropped::InboxFull, &message);
            }
            Some(Err(TrySendError::Disconnected(_))) | None => {
                self.drop_message(now_ns, Dropped::NodeDown, &message);
            }
        }
    }

    fn received(&mut self, now_ns: u64, message: &Message) {
        self.stats.received(message);
        self.journal.received(self.log_time(now_ns), message);
    }

    fn log_time(&self, now_ns: u64) -> i64 {
        now_ns.cast_signed() - self.zero_ns
    }

    fn set_rules(&mut self, now_ns: u64, rules: &[Rule]) {
        self.rules = rules.to_vec();
        let ports: Vec<(u8, u8)> = self.links.keys().copied().collect();
        for ports in ports {
            let fresh = self.rules_of(ports, now_ns);
            let retired = self.link(ports, now_ns).replace(fresh);
            for (fault, counts) in retired {
                add(self.retired.entry(fault).or_default(), &counts);
            }
        }
        // What a fault that is no more asked for is given back.
        let mut flights = std::mem::take(&mut self.flights).into_vec();
        for flight in &mut flights {
            let departure = &mut flight.departure;
            departure.held.retain(|(fault, held_ns)| {
                let stays = rules.iter().any(|rule| rule.fault == *fault);
                if !stays {
                    departure.due_ns = departure.due_ns.saturating_sub(*held_ns);
                }
                stays
            });
        }
        self.flights = flights.into();
    }

    /// The rules of a link, as if they came into force now.
    fn rules_of(&self, ports: (u8, u8), now_ns: u64) -> Vec<LinkRule> {
        let port = |name: &Name| match &**name {
            CLIENTS => CLIENTS_PORT,
            _ => self.port(name),
        };
        let is_about = |rule: &&Rule| {
            let mut links = rule.links.iter();
            links.any(|link| (port(&link.from), port(&link.to)) == ports)
        };
        self.rules
            .iter()
            .filter(is_about)
            .map(|rule| {
                let one = Rule {
                    links: Vec::new(),
                    ..rule.clone()
                };
                LinkRule::new(Arc::new(one), self.seed, ports.0, ports.1, now_ns)
            })
            .collect()
    }
}

fn add(total: &mut RuleCounts, counts: &RuleCounts) {
    total.packets += counts.packets;
    total.affected += counts.affected;
    total.overflowed += counts.overflowed;
    total.overtaken += counts.overtaken;
    total.held_us += counts.held_us;
}

/// Those due first are the greatest, so that a heap gives them first.
impl Ord for Flight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |flight: &Self| (flight.departure.due_ns, flight.order);
        key(other).cmp(&key(self))
    }
}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Flight {}

#[cfg(test)]
mod tests;
