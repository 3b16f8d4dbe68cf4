//! How much one caller may ask: token buckets, per person or service, else per client address.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use chassis::say;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Callers remembered at most, in each kind of bucket.
const CAPACITY: usize = 100_000;

/// How fast tokens come, and how many may be saved up: "20:100".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Tokens a second.
    pub per_second: f64,
    /// Tokens at most.
    pub burst: f64,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = |text: &str| text.parse::<f64>().ok().filter(|number| *number > 0.0);
        text.split_once(':')
            .and_then(|(per_second, burst)| {
                Some(Self {
                    per_second: parse(per_second)?,
                    burst: parse(burst)?,
                })
            })
            .ok_or_else(|| format!("{text:?}: write CALLS-A-SECOND:BURST, such as 20:100"))
    }
}

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A person or service with a valid token.
    Principal(String),
    /// Everybody else at this address.
    Address(IpAddr),
}

impl Caller {
    /// Counts an address; of IPv6 the network, for a host has 2^64 addresses to choose from.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from(network))
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// The buckets of one kind.
pub struct Buckets<K> {
    rate: Rate,
    buckets: Mutex<HashMap<K, Bucket>>,
}

struct Bucket {
    tokens: f64,
    time: Instant,
}

impl Bucket {
    fn at(&self, now: Instant, rate: Rate) -> f64 {
        let gained = (now - self.time).as_secs_f64() * rate.per_second;
        (self.tokens + gained).min(rate.burst)
    }
}

impl<K: Hash + Eq> Buckets<K> {
    /// Empty buckets: everybody starts with a whole burst.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Takes a token; answers how long to wait when there is none.
    pub fn take(&self, key: K, now: Instant) -> Result<(), Duration> {
        let rate = self.rate;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= CAPACITY && !buckets.contains_key(&key) {
            // A full bucket is as good as none. Who fills the table with empty ones gains a burst at most.
            buckets.retain(|_, bucket| bucket.at(now, rate) < rate.burst);
            if buckets.len() >= CAPACITY / 2 {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            tokens: rate.burst,
            time: now,
        });
        let tokens = bucket.at(now, rate);
        bucket.time = now;
        if tokens < 1.0 {
            bucket.tokens = tokens;
            return Err(Duration::from_secs_f64((1.0 - tokens) / rate.per_second));
        }
        bucket.tokens = tokens - 1.0;
        Ok(())
    }
}

/// The limits of the door.
pub struct Limits {
    callers: Buckets<String>,
    addresses: Buckets<Caller>,
    public_writes: Buckets<Caller>,
}

impl Limits {
    /// Limits for callers with a token, for addresses, and for what an address may write without a token.
    #[must_use]
    pub fn new(caller: Rate, address: Rate, public_write: Rate) -> Self {
        Self {
            callers: Buckets::new(caller),
            addresses: Buckets::new(address),
            public_writes: Buckets::new(public_write),
        }
    }

    /// Counts one call.
    pub fn take(&self, caller: Caller, writes: bool) -> Result<(), Status> {
        let now = Instant::now();
        match caller {
            Caller::Principal(id) => self.callers.take(id, now),
            address => {
                let waits = self.addresses.take(address.clone(), now);
                waits.and_then(|()| {
                    if writes {
                        self.public_writes.take(address, now)
                    } else {
                        Ok(())
                    }
                })
            }
        }
        .map_err(exhausted)
    }
}

fn exhausted(wait: Duration) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info("TOO_MANY_CALLS", crate::contract::OWN, HashMap::new());
    details.set_retry_info(Some(wait));
    Status::with_error_details(
        Code::ResourceExhausted,
        say(
            "quá nhiều lời gọi, hãy thử lại sau giây lát",
            "too many calls, try again in a moment",
        ),
        details,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_the_rate() {
        let buckets = Buckets::new("2:3".parse().unwrap());
        let start = Instant::now();
        let half = Duration::from_millis(500);
        for _ in 0..3 {
            assert_eq!(buckets.take("a", start), Ok(()));
        }
        assert_eq!(buckets.take("a", start), Err(half));
        assert_eq!(buckets.take("b", start), Ok(()));
        assert_eq!(buckets.take("a", start + half), Ok(()));
        assert!(buckets.take("a", start + half).is_err());
    }

    #[test]
    fn the_table_does_not_grow_for_ever() {
        let buckets = Buckets::new("1:2".parse().unwrap());
        let now = Instant::now();
        for key in 0..CAPACITY * 3 {
            assert!(buckets.take(key, now).is_ok());
        }
        assert!(buckets.buckets.lock().unwrap().len() <= CAPACITY);
    }

    #[test]
    fn public_writes_have_their_own_bucket() {
        let rate = |text: &str| text.parse().unwrap();
        let limits = Limits::new(rate("1:9"), rate("1:9"), rate("1:1"));
        let home = || Caller::address("2001:db8::1".parse().unwrap());
        let neighbour = Caller::address("2001:db8::2".parse().unwrap());
        assert!(limits.take(home(), true).is_ok());
        let refused = limits.take(neighbour, true).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(refused.get_error_details().retry_info().is_some());
        assert!(limits.take(home(), false).is_ok());
        assert!(limits.take(Caller::Principal("a".into()), true).is_ok());
    }

    #[test]
    fn rates_are_read() {
        assert!("20".parse::<Rate>().is_err());
        assert!("0:5".parse::<Rate>().is_err());
        assert_eq!(
            "0.5:5".parse(),
            Ok(Rate {
                per_second: 0.5,
                burst: 5.0
            })
        );
    }
}
