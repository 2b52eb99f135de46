//! The objects that clients use: what they ask of them, and what the objects answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use histories::Value;
use seeds::Stream;

/// How many answers back a stale one is, for each client.
const STALE_PER_CLIENT: usize = 4;
const ACCOUNTS: i64 = 5;
const REGISTERS: i64 = 4;
/// After so many appends a list is left alone.
const LIST_MAX: i64 = 100;

/// What the clients use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// A register, and values that are all different.
    Register,
    /// One of so many values, with compare-and-sets.
    CasRegister(i64),
    /// Registers read and written some at a time, and values that are all different.
    MultiRegister,
    /// The same with few values.
    MultiRegisterFew,
    /// Strings under ten keys.
    Kv,
    /// One string that is put, appended to, swapped and deleted, the workload `kv` on one key; whether
    /// deletes say that they found something.
    KvMixed { deletes_tell: bool },
    /// A stack of about fifty values that are all different.
    Stack,
    /// A stack of few values, about five at a time.
    StackFew,
    /// A priority queue of about fifty numbers that are all different.
    PriorityQueue,
    /// A priority queue of few numbers, about five at a time.
    PriorityQueueFew,
    /// A lock that its holder takes several times, and that refuses others.
    ReentrantMutex,
    /// A lock that gives tokens, and refuses whoever comes while it is held.
    FencedLock,
    /// Five accounts.
    Bank,
    /// A queue of values that are all different, about a hundred at a time.
    FifoQueue,
    /// A queue of few values, about five at a time.
    FifoQueueFew,
    /// Lists of up to a hundred elements.
    AppendList,
    /// A counter that goes up by one.
    Counter,
    /// A counter that is changed by different amounts.
    CounterAmounts,
    /// A register of values with versions.
    VersionedRegister,
    /// A set, asked element by element.
    Set,
    /// A set that only grows, and is now and then read whole.
    GrowingSet,
    /// A set of twenty elements that come and go, and is now and then read whole.
    WholeSet,
    /// A lock that everybody waits for.
    Mutex,
}

use Object::*;

impl Object {
    /// All of them.
    pub const ALL: [Object; 24] = [
        Register,
        CasRegister(5),
        MultiRegister,
        MultiRegisterFew,
        Kv,
        KvMixed {
            deletes_tell: false,
        },
        KvMixed { deletes_tell: true },
        Stack,
        StackFew,
        PriorityQueue,
        PriorityQueueFew,
        ReentrantMutex,
        FencedLock,
        Bank,
        FifoQueue,
        FifoQueueFew,
        AppendList,
        Counter,
        CounterAmounts,
        VersionedRegister,
        Set,
        GrowingSet,
        WholeSet,
        Mutex,
    ];

    /// The model that judges it.
    pub fn model(self) -> &'static str {
        match self {
            Register => "register",
            CasRegister(_) => "cas-register",
            MultiRegister | MultiRegisterFew => "multi-register",
            Kv | KvMixed { .. } => "kv",
            Stack | StackFew => "stack",
            PriorityQueue | PriorityQueueFew => "priority-queue",
            ReentrantMutex => "reentrant-mutex",
            FencedLock => "fenced-lock",
            Bank => "bank",
            FifoQueue | FifoQueueFew => "fifo-queue",
            AppendList => "append-list",
            Counter | CounterAmounts => "counter",
            VersionedRegister => "versioned-register",
            Set | GrowingSet | WholeSet => "set",
            Mutex => "mutex",
        }
    }

    /// What tells it from others of the same model.
    pub fn name(self) -> &'static str {
        match self {
            MultiRegisterFew => "multi-register-few",
            KvMixed {
                deletes_tell: false,
            } => "kv-mixed",
            KvMixed { deletes_tell: true } => "kv-mixed-telling",
            StackFew => "stack-few",
            PriorityQueueFew => "priority-queue-few",
            FifoQueueFew => "fifo-queue-few",
            CounterAmounts => "counter-amounts",
            GrowingSet => "set-growing",
            WholeSet => "set-whole",
            other => other.model(),
        }
    }

    /// Whether it is held by one client at a time.
    pub fn is_lock(self) -> bool {
        matches!(self, Mutex | ReentrantMutex | FencedLock)
    }

    /// What it starts as, where its model does not know.
    pub fn initial(self) -> Option<Value> {
        let account = |account| (Value::Int(account), Value::Int(1_000));
        (self == Bank).then(|| Value::Map((0..ACCOUNTS).map(account).collect()))
    }
}

/// What a client asks.
pub struct Request {
    pub f: &'static str,
    pub key: Option<Value>,
    pub input: Value,
}

/// What came of it.
pub enum Answer {
    /// Done, with this result.
    Done(Value),
    /// Not yet: it has to wait.
    Waits,
}

/// An object as it is.
pub struct State {
    object: Object,
    clients: usize,
    /// The values of a queue or stack.
    held: VecDeque<i64>,
    members: BTreeSet<i64>,
    /// Balances, registers, strings by key.
    map: BTreeMap<i64, i64>,
    lists: BTreeMap<i64, Vec<i64>>,
    /// One string; nil when there is none.
    text: Value,
    count: i64,
    /// Which client holds the lock, how often, and whether it has begun to give it back.
    holder: Option<(usize, u64, bool)>,
    next: i64,
    /// What whoever read it all would have found, some changes ago up to now.
    past: VecDeque<Value>,
}

impl State {
    pub fn new(object: Object, clients: usize) -> Self {
        let accounts = (0..ACCOUNTS).map(|account| (account, 1_000));
        State {
            object,
            clients,
            held: VecDeque::new(),
            members: BTreeSet::new(),
            map: if object == Bank {
                accounts.collect()
            } else {
                BTreeMap::new()
            },
            lists: BTreeMap::new(),
            text: Value::Nil,
            count: 0,
            holder: None,
            next: 0,
            past: VecDeque::new(),
        }
    }

    fn new_value(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    /// What a client does next: where it `goes_wrong`, what can, if else that would be rare.
    pub fn draw(&mut self, client: usize, chance: &mut Stream, goes_wrong: bool) -> Request {
        let plain = |f, input| Request {
            f,
            key: None,
            input,
        };
        let half = chance.chance(1, 2);
        let mut below = |bound: i64| chance.below(bound as u64) as i64;
        match self.object {
            Register | VersionedRegister if half => plain("read", Value::Nil),
            Register | VersionedRegister => plain("write", Value::Int(self.new_value())),
            CasRegister(values) => match below(4) {
                0 | 1 => plain("read", Value::Nil),
                2 => plain("write", Value::Int(below(values))),
                _ => plain("cas", ints([below(values), below(values)])),
            },
            MultiRegister | MultiRegisterFew => self.transaction(&mut below),
            Kv => {
                let key = Some(Value::Int(below(10)));
                let (f, input) = match half {
                    true => ("get", Value::Nil),
                    false => ("put", Value::Text(self.new_value().to_string().into())),
                };
                Request { f, key, input }
            }
            KvMixed { .. } => self.text_request(chance),
            Stack | PriorityQueue | FifoQueue | StackFew | PriorityQueueFew | FifoQueueFew => {
                let (size, values) = match self.object {
                    FifoQueue => (200, 0),
                    Stack | PriorityQueue => (100, 0),
                    _ => (10, 5),
                };
                let (put, take) = match self.object {
                    FifoQueue | FifoQueueFew => ("enqueue", "dequeue"),
                    _ => ("push", "pop"),
                };
                if below(size) < self.held.len() as i64 {
                    return plain(take, Value::Nil);
                }
                let value = match self.object {
                    // In no order.
                    PriorityQueue => self.new_value() * 7_919 % 1_000_003,
                    _ if values > 0 => below(values),
                    _ => self.new_value(),
                };
                plain(put, Value::Int(value))
            }
            Bank if below(5) == 0 => plain("read", Value::Nil),
            Bank => {
                let entry = |name: &str, value| (Value::from(name), Value::Int(value));
                let (from, to) = (below(ACCOUNTS), below(ACCOUNTS));
                let amount = entry("amount", 1 + below(9));
                plain(
                    "transfer",
                    Value::Map(vec![entry("from", from), entry("to", to), amount]),
                )
            }
            AppendList => Request {
                f: if half { "read" } else { "append" },
                key: Some(Value::Int(self.next / LIST_MAX)),
                input: if half {
                    Value::Nil
                } else {
                    Value::Int(self.new_value())
                },
            },
            Counter | CounterAmounts if half => plain("read", Value::Nil),
            Counter => plain("increment", Value::Nil),
            CounterAmounts => plain("add", Value::Int(1 + below(1_000))),
            Set | WholeSet => {
                let elements = if self.object == Set { 1_000 } else { 20 };
                let element = Value::Int(below(elements));
                match below(4) {
                    0 => plain("add", element),
                    1 => plain("remove", element),
                    2 if self.object == WholeSet => plain("read", Value::Nil),
                    _ => plain("contains", element),
                }
            }
            GrowingSet if below(1_000) == 0 || goes_wrong => plain("read", Value::Nil),
            GrowingSet => plain("add", Value::Int(self.new_value())),
            Mutex | ReentrantMutex | FencedLock => self.lock_request(client, half),
        }
    }

    fn transaction(&mut self, below: &mut impl FnMut(i64) -> i64) -> Request {
        let reads = below(2) == 0;
        let first = below(REGISTERS);
        let registers = [first, (first + 1) % REGISTERS];
        let mut entries = Vec::new();
        for register in registers {
            let value = match self.object {
                _ if reads => Value::Nil,
                MultiRegisterFew => Value::Int(below(3)),
                _ => Value::Int(self.new_value()),
            };
            entries.push((Value::Int(register), value));
        }
        Request {
            f: if reads { "read" } else { "write" },
            key: None,
            input: Value::Map(entries),
        }
    }

    fn text_request(&mut self, chance: &mut Stream) -> Request {
        let mut new = || {
            self.next += 1;
            Value::Text(format!("{} ", self.next).into())
        };
        let (f, input) = match chance.below(100) {
            0..45 => ("get", Value::Nil),
            45..59 => ("put", new()),
            59..81 => ("append", new()),
            81..95 => {
                // What somebody saw lately.
                let back = chance.below(self.past.len().clamp(1, self.clients) as u64) as usize;
                let seen = self.past.iter().rev().nth(back);
                let seen = seen.cloned().unwrap_or(Value::Nil);
                ("cas", Value::List(vec![seen, new()]))
            }
            _ => ("delete", Value::Nil),
        };
        Request {
            f,
            key: None,
            input,
        }
    }

    fn lock_request(&mut self, client: usize, again: bool) -> Request {
        let f = match &mut self.holder {
            Some((holder, depth, _))
                if *holder == client && again && *depth < 3 && self.object == ReentrantMutex =>
            {
                "acquire"
            }
            Some((holder, _, gives_back)) if *holder == client => {
                *gives_back = true;
                "release"
            }
            _ => "acquire",
        };
        Request {
            f,
            key: None,
            input: Value::Nil,
        }
    }

    /// The request takes effect. Where it `goes_wrong` the answer is one that cannot be, if there
    /// is such a one; it then says so.
    pub fn happen(
        &mut self,
        client: usize,
        request: &mut Request,
        goes_wrong: bool,
    ) -> (Answer, bool) {
        let is_seen = client < self.clients && matches!(request.f, "read" | "get");
        let (answer, went_wrong) = match self.object {
            Mutex | ReentrantMutex | FencedLock => {
                return self.lock(client, request.f, goes_wrong);
            }
            Stack | StackFew | PriorityQueue | PriorityQueueFew | FifoQueue | FifoQueueFew => {
                self.container(request, goes_wrong)
            }
            Set if request.f == "contains" && goes_wrong => {
                // An element that nobody ever added.
                request.input = Value::Int(-1);
                (Value::Bool(true), true)
            }
            GrowingSet if request.f == "read" && goes_wrong && !self.members.is_empty() => {
                let members = self.members.iter().skip(1).copied();
                (ints(members), true)
            }
            _ => {
                let looks = matches!(request.f, "read" | "get");
                let stale = self
                    .past
                    .front()
                    .filter(|_| self.past.len() > STALE_PER_CLIENT * self.clients)
                    .filter(|stale| looks && goes_wrong && self.past.back() != Some(stale))
                    .filter(|stale| !matches!((self.object, stale), (KvMixed { .. }, Value::Nil)))
                    .cloned();
                // Where values come back an old one may be right: one that was never written.
                let never = Value::Int(99);
                let stale = match self.object {
                    CasRegister(_) => stale.map(|_| never),
                    MultiRegisterFew => stale.map(|_| {
                        let registers = (0..REGISTERS).map(Value::Int);
                        Value::Map(
                            registers
                                .map(|register| (register, never.clone()))
                                .collect(),
                        )
                    }),
                    _ => stale,
                };
                let went_wrong = stale.is_some();
                let answer = self.change(request);
                let found = stale.unwrap_or_else(|| self.whole(request.key.as_ref()));
                let answer = match looks {
                    true => self.seen_by(request, found),
                    false => answer,
                };
                (answer, went_wrong)
            }
        };
        if matches!(self.object, GrowingSet | Set) {
            return (Answer::Done(answer), went_wrong);
        }
        // A text that nobody saw may have been there later.
        if !matches!(self.object, KvMixed { .. }) || is_seen {
            self.past.push_back(self.whole(request.key.as_ref()));
        }
        while self.past.len() > STALE_PER_CLIENT * self.clients + 1 {
            self.past.pop_front();
        }
        (Answer::Done(answer), went_wrong)
    }

    /// What a read of everything finds; of some objects only of what is under the key.
    fn whole(&self, key: Option<&Value>) -> Value {
        let map = || {
            let entries = self.map.iter();
            Value::Map(
                entries
                    .map(|(&k, &v)| (Value::Int(k), Value::Int(v)))
                    .collect(),
            )
        };
        match self.object {
            Register | CasRegister(_) if self.count == 0 => Value::Nil,
            VersionedRegister => ints([self.count, self.map.get(&0).copied().unwrap_or(0)]),
            Register | CasRegister(_) => Value::Int(self.map[&0]),
            MultiRegister | MultiRegisterFew | Bank => map(),
            Kv => {
                let held = self.map.get(&key.and_then(Value::as_int).unwrap_or(0));
                held.map_or(Value::Nil, |value| value.to_string().as_str().into())
            }
            AppendList => {
                let key = key.and_then(Value::as_int).unwrap_or(0);
                ints(self.lists.get(&key).into_iter().flatten().copied())
            }
            KvMixed { .. } => self.text.clone(),
            Counter | CounterAmounts => Value::Int(self.count),
            WholeSet | GrowingSet => ints(self.members.iter().copied()),
            _ => Value::Nil,
        }
    }

    /// What this reader sees of it.
    fn seen_by(&self, request: &Request, whole: Value) -> Value {
        match (self.object, &request.input) {
            (VersionedRegister, _) if whole == ints([0, 0]) => Value::Nil,
            (MultiRegister | MultiRegisterFew, Value::Map(wanted)) => {
                let value = |register: &Value| entry_of(&whole, register);
                let entries = wanted.iter();
                Value::Map(entries.map(|(r, _)| (r.clone(), value(r))).collect())
            }
            _ => whole,
        }
    }

    /// Changes it; what the change answers.
    fn change(&mut self, request: &Request) -> Value {
        let number = |value: &Value| value.as_int().unwrap_or(0);
        let input = &request.input;
        match (request.f, input) {
            ("read" | "get", _) => return Value::Nil,
            (f, _) if matches!(self.object, KvMixed { .. }) => return self.change_text(f, input),
            ("write", Value::Map(entries)) => {
                for (register, value) in entries {
                    self.map.insert(number(register), number(value));
                }
            }
            ("write", value) => {
                self.count += 1;
                self.map.insert(0, number(value));
                if self.object == VersionedRegister {
                    return Value::Int(self.count);
                }
            }
            ("cas", Value::List(pair)) => {
                let swaps = self.count > 0 && self.map[&0] == number(&pair[0]);
                if swaps {
                    self.map.insert(0, number(&pair[1]));
                }
                return Value::Bool(swaps);
            }
            ("put", Value::Text(text)) => {
                let key = request.key.as_ref().map_or(0, number);
                self.map.insert(key, text.parse().unwrap_or(0));
            }
            ("transfer", map) => {
                let part = |name: &str| map.get(name).map_or(0, number);
                let (from, to, amount) = (part("from"), part("to"), part("amount"));
                if self.map[&from] < amount {
                    return Value::Bool(false);
                }
                *self.map.entry(from).or_default() -= amount;
                *self.map.entry(to).or_default() += amount;
            }
            ("append", value) => {
                let key = request.key.as_ref().map_or(0, number);
                self.lists.entry(key).or_default().push(number(value));
            }
            ("increment", _) => self.count += 1,
            ("add", value) if self.object == CounterAmounts => self.count += number(value),
            ("add", element) => _ = self.members.insert(number(element)),
            ("remove", element) => _ = self.members.remove(&number(element)),
            ("contains", element) => {
                return Value::Bool(self.members.contains(&number(element)));
            }
            (other, _) => unreachable!("{other}"),
        }
        Value::Nil
    }

    fn change_text(&mut self, f: &str, input: &Value) -> Value {
        match (f, input) {
            ("cas", Value::List(pair)) => {
                let swaps = self.text == pair[0];
                if swaps {
                    self.text = pair[1].clone();
                }
                Value::Bool(swaps)
            }
            ("delete", _) => {
                let found = self.text != Value::Nil;
                self.text = Value::Nil;
                match self.object {
                    KvMixed { deletes_tell: true } => Value::Bool(found),
                    _ => Value::Nil,
                }
            }
            ("append", Value::Text(more)) => {
                self.text = match &self.text {
                    Value::Text(before) => Value::Text(format!("{before}{more}").into()),
                    _ => input.clone(),
                };
                Value::Nil
            }
            _ => {
                self.text = input.clone();
                Value::Nil
            }
        }
    }

    /// Puts in, or takes out: what is wrong is far from what should be taken.
    fn container(&mut self, request: &Request, goes_wrong: bool) -> (Value, bool) {
        if let Value::Int(value) = request.input {
            let place = match self.object {
                PriorityQueue | PriorityQueueFew => self.held.partition_point(|held| *held < value),
                Stack | StackFew => 0,
                _ => self.held.len(),
            };
            self.held.insert(place, value);
            return (Value::Nil, false);
        }
        let few = matches!(self.object, StackFew | PriorityQueueFew | FifoQueueFew);
        if few && goes_wrong {
            // A value that nobody ever puts in.
            return (Value::Int(99), true);
        }
        let deep = self.clients * 3 / 2;
        let place = match goes_wrong && self.held.len() > deep {
            true => deep,
            false => 0,
        };
        let taken = self.held.remove(place);
        (taken.map_or(Value::Nil, Value::Int), place > 0)
    }

    fn lock(&mut self, client: usize, f: &str, goes_wrong: bool) -> (Answer, bool) {
        let token = |state: &mut Self, token| match state.object {
            FencedLock => Value::Int(token),
            _ => Value::Bool(true),
        };
        match (&mut self.holder, f) {
            (Some((_, depth, gives_back)), "release") => {
                *depth -= 1;
                *gives_back = false;
                if *depth == 0 {
                    self.holder = None;
                }
                (Answer::Done(Value::Bool(true)), false)
            }
            (None, "acquire") => {
                self.holder = Some((client, 1, false));
                self.count += 1;
                // One is given a token that was given before.
                let wrong = goes_wrong && self.object == FencedLock && self.count > 10;
                let given = if wrong { self.count - 5 } else { self.count };
                (Answer::Done(token(self, given)), wrong)
            }
            (Some((holder, depth, _)), "acquire")
                if *holder == client && self.object == ReentrantMutex =>
            {
                *depth += 1;
                (Answer::Done(Value::Bool(true)), false)
            }
            // One is let in while another holds it.
            (Some((_, _, false)), "acquire") if goes_wrong && self.object != FencedLock => {
                (Answer::Done(Value::Bool(true)), true)
            }
            _ if self.object == Mutex => (Answer::Waits, false),
            _ => (Answer::Done(Value::Bool(false)), false),
        }
    }
}

fn ints(numbers: impl IntoIterator<Item = i64>) -> Value {
    Value::List(numbers.into_iter().map(Value::Int).collect())
}

/// What a map says of this.
fn entry_of(map: &Value, wanted: &Value) -> Value {
    let Value::Map(entries) = map else {
        return Value::Nil;
    };
    let found = entries.iter().find(|(name, _)| name == wanted);
    found.map_or(Value::Nil, |(_, value)| value.clone())
}
