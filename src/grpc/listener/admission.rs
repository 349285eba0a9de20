//! Who may connect: caps on connections at once, in all and per peer, and rates of new ones, in all and per peer.
//!
//! Invariants: an admitted connection is counted until its [`Admitted`] is dropped, and a refused one is not counted at all.
//! A peer is an IPv4 address or the /64 network of an IPv6 address, since whoever has one address of such a network has them
//! all. What is kept per peer is forgotten: counts at zero at once, rates when many peers were seen and they are of no
//! use any more.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::limits::Limits;
use crate::base::clock::Clock;
use crate::base::rate_clock::RateClock;
use crate::grpc::call::Refusal;

/// Rates are kept of at most about this many peers; then the stale ones go.
const PEERS_KEPT: usize = 10_000;

/// Counts and rates of connections, shared by all workers.
pub(super) struct Admission {
    most: usize,
    most_per_peer: usize,
    open: AtomicUsize,
    per_peer: DashMap<IpAddr, usize>,
    rate: RateLimiter<NotKeyed, InMemoryState, RateClock, NoOpMiddleware<Nanos>>,
    peer_rate: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, RateClock, NoOpMiddleware<Nanos>>,
}

impl Admission {
    pub(super) fn new(limits: &Limits, clock: Arc<dyn Clock>) -> Self {
        let clock = RateClock(clock);
        Self {
            most: limits.connections,
            most_per_peer: limits.connections_per_peer,
            open: AtomicUsize::new(0),
            per_peer: DashMap::new(),
            rate: RateLimiter::new(quota(limits.accepts_per_second), InMemoryState::default(), clock.clone()),
            peer_rate: RateLimiter::new(quota(limits.accepts_per_second_per_peer), DashMapStateStore::default(), clock),
        }
    }

    /// Counts a connection from `address`, or says why not. The caps come first: who is over one costs others no rate.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admitted, Refusal> {
        let peer = peer_of(address);
        let admitted = self.count(peer)?;
        self.forget_stale_peers();
        self.peer_rate.check_key(&peer).map_err(|_| Refusal::PeerTooFast)?;
        self.rate.check().map_err(|_| Refusal::TooFast)?;
        Ok(admitted)
    }

    /// The connections open now.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn count(self: &Arc<Self>, peer: IpAddr) -> Result<Admitted, Refusal> {
        let mut of_peer = self.per_peer.entry(peer).or_insert(0);
        if *of_peer >= self.most_per_peer {
            return Err(Refusal::PeerFull);
        }
        *of_peer += 1;
        drop(of_peer);
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let admitted = Admitted { admission: Arc::clone(self), peer };
        if before < self.most { Ok(admitted) } else { Err(Refusal::Full) }
    }

    fn release(&self, peer: IpAddr) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.per_peer.remove_if_mut(&peer, |_, count| {
            *count -= 1;
            *count == 0
        });
    }

    fn forget_stale_peers(&self) {
        if self.peer_rate.len() > PEERS_KEPT {
            self.peer_rate.retain_recent();
            self.peer_rate.shrink_to_fit();
        }
    }
}

/// The right to be connected; counted until it is dropped.
pub(super) struct Admitted {
    admission: Arc<Admission>,
    peer: IpAddr,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.release(self.peer);
    }
}

fn quota(per_second: u32) -> Quota {
    Quota::per_second(NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN))
}

fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};

    fn admission(limits: Limits) -> (Arc<Admission>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        (Arc::new(Admission::new(&limits, clock.clone())), clock)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn refusal(result: Result<Admitted, Refusal>) -> Option<Refusal> {
        result.err()
    }

    #[test]
    fn a_peer_has_its_cap_and_gets_its_place_back() {
        let (admission, _) = admission(Limits { connections_per_peer: 2, ..Limits::default() });
        let held = [admission.admit(address("10.0.0.1")).ok(), admission.admit(address("10.0.0.1")).ok()];
        assert!(held.iter().all(Option::is_some));
        assert_eq!(refusal(admission.admit(address("10.0.0.1"))), Some(Refusal::PeerFull));
        assert!(admission.admit(address("10.0.0.2")).is_ok());
        drop(held);
        assert!(admission.admit(address("10.0.0.1")).is_ok());
        assert_eq!(admission.open(), 0);
        assert!(admission.per_peer.is_empty(), "counts at zero are forgotten");
    }

    #[test]
    fn all_connections_have_a_cap() {
        let (admission, _) = admission(Limits { connections: 1, ..Limits::default() });
        let held = admission.admit(address("10.0.0.1")).unwrap_or_else(|_| panic!("there is room"));
        assert_eq!(refusal(admission.admit(address("10.0.0.2"))), Some(Refusal::Full));
        assert_eq!(admission.open(), 1, "a refused connection is not counted");
        drop(held);
        assert!(admission.admit(address("10.0.0.2")).is_ok());
    }

    #[test]
    fn rates_refill_with_time() {
        let limits = Limits { accepts_per_second: 3, accepts_per_second_per_peer: 2, ..Limits::default() };
        let (admission, clock) = admission(limits);
        assert!(admission.admit(address("10.0.0.1")).is_ok());
        assert!(admission.admit(address("10.0.0.1")).is_ok());
        assert_eq!(refusal(admission.admit(address("10.0.0.1"))), Some(Refusal::PeerTooFast));
        assert!(admission.admit(address("10.0.0.2")).is_ok());
        assert_eq!(refusal(admission.admit(address("10.0.0.2"))), Some(Refusal::TooFast));
        clock.advance(Duration::from_secs(1));
        assert!(admission.admit(address("10.0.0.1")).is_ok());
    }

    #[test]
    fn the_addresses_of_a_network_are_one_peer() {
        let cases = [
            ("2001:db8:1:2:3::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
        ];
        for (one, other, same) in cases {
            assert_eq!(peer_of(address(one)) == peer_of(address(other)), same, "{one} {other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn counts_are_those_held(steps in proptest::collection::vec((0_u8..4, proptest::bool::ANY), 0..200)) {
            let limits = Limits { connections: 5, connections_per_peer: 2, ..Limits::default() };
            let (admission, clock) = admission(limits);
            let mut held: Vec<(u8, Admitted)> = Vec::new();
            for (peer, comes) in steps {
                clock.advance(Duration::from_secs(1));
                let of_peer = held.iter().filter(|(holder, _)| *holder == peer).count();
                if comes {
                    let expected = match (of_peer < 2, held.len() < 5) {
                        (false, _) => Some(Refusal::PeerFull),
                        (true, false) => Some(Refusal::Full),
                        (true, true) => None,
                    };
                    let result = admission.admit(IpAddr::from([10, 0, 0, peer]));
                    proptest::prop_assert_eq!(result.as_ref().err().copied(), expected);
                    held.extend(result.ok().map(|admitted| (peer, admitted)));
                } else if let Some(place) = held.iter().position(|(holder, _)| *holder == peer) {
                    held.swap_remove(place);
                }
                proptest::prop_assert_eq!(admission.open(), held.len());
            }
            drop(held);
            proptest::prop_assert!(admission.per_peer.is_empty());
        }
    }

    #[test]
    fn a_flood_of_peers_is_forgotten() {
        let limits = Limits { accepts_per_second: u32::MAX, ..Limits::default() };
        let (admission, clock) = admission(limits);
        for number in 0..30_000_u32 {
            clock.advance(Duration::from_millis(1));
            assert!(admission.admit(IpAddr::from(number.to_be_bytes())).is_ok());
        }
        assert!(admission.peer_rate.len() <= PEERS_KEPT + 1);
    }
}
