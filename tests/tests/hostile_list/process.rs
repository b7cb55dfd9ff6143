//! The process that is to be harmed: it serves a healthy store beside the hostile ones, and says what
//! each behaviour did to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::act::{self, Stores};
use crate::judge::{Observed, judge};
use crate::list::{self, Behaviour};
use crate::place::Place;
use crate::sabotage;
use crate::vitals::{Health, Usage, Watch};

/// Names what the process is to run: `list`, or a harm of [`sabotage`].
pub const WHICH: &str = "ARTIFACT_STORE_TEST_HOSTILE_LIST";
/// The endpoint that backends are granted.
pub const GRANTED: &str = "ARTIFACT_STORE_TEST_GRANTED";
/// One that they are not granted.
pub const OTHER: &str = "ARTIFACT_STORE_TEST_OTHER";

/// How its lines begin.
pub const BEGINS: &str = "begins ";
pub const HARMED: &str = "HARMED ";

pub fn run(which: &str) {
    let watch = Watch::begin();
    let place = Arc::new(Place::new());
    let health = Health::begin(&place);
    let stores = Stores::new(Arc::clone(&place));
    let mut host = Host {
        watch,
        place,
        health,
        stores,
        first: Usage::now(),
        settling: Duration::from_secs(20),
    };
    match which {
        "list" => {
            let all = list::all();
            // All that stays open is opened before anything is counted.
            for behaviour in &all {
                host.stores.warm(behaviour);
            }
            host.first = Usage::now();
            for behaviour in &all {
                host.suffer(behaviour);
            }
            host.rest();
        }
        "harms" => {
            // Nothing of it is given back ever.
            host.settling = Duration::from_secs(1);
            for harm in sabotage::all() {
                println!("{BEGINS}{}", harm.name);
                host.say(harm.name, &host.observe(1, || (harm.act)(&host.place)), harm.allowed);
            }
        }
        "abort" => {
            println!("{BEGINS}{which}");
            std::process::abort();
        }
        "hang" => {
            println!("{BEGINS}{which}");
            std::thread::sleep(Duration::from_secs(600));
        }
        _ => panic!("no such part: {which}"),
    }
}

struct Host {
    watch: Watch,
    place: Arc<Place>,
    health: Health,
    stores: Stores,
    first: Usage,
    /// How long files and threads may take to be given back.
    settling: Duration,
}

impl Host {
    fn suffer(&self, behaviour: &Behaviour) {
        println!("{BEGINS}{}", behaviour.name());
        let observe = || {
            self.place.prepare(behaviour);
            self.observe(behaviour.at_once, || act::act(&self.stores, &self.place, behaviour))
        };
        let mut observed = observe();
        // On a busy machine not each call makes it in so short a time.
        for _ in 0..4 {
            let is_late = |outcome: &String| {
                let is_busy = outcome == "timeout" || outcome.contains("failed to start");
                is_busy && !behaviour.allows(outcome)
            };
            if observed.outcomes.iter().any(is_late) {
                // As long as a store waits after starts that failed.
                std::thread::sleep(Duration::from_secs(4));
                observed = observe();
            }
        }
        self.say(&behaviour.name(), &observed, behaviour.allowed);
    }

    /// What `act`, which makes so many calls at once, does to this process.
    fn observe(&self, at_once: usize, act: impl FnOnce() -> Vec<String>) -> Observed {
        let before = Usage::now();
        self.watch.begin_one();
        self.health.begin_one();
        let outside = self.place.outside();
        let begun = Instant::now();
        let outcomes = act();
        let took = begun.elapsed();
        let (neighbour, trouble) = self.health.end_one();
        let slack = Usage::slack(at_once);
        let patience = Instant::now() + self.settling;
        let mut after = Usage::now();
        // Idle threads of what was before may still be there.
        let has_settled =
            |now: Usage| now.is_like(&before, slack) && now.is_like(&self.first, Usage::slack(64));
        while !has_settled(after) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(20));
            after = Usage::now();
        }
        let (panics, log) = self.watch.end_one();
        Observed {
            outcomes,
            took,
            at_once,
            neighbour,
            trouble,
            panics,
            log,
            changed: self.place.changes(&outside),
            first: self.first,
            before,
            after,
        }
    }

    /// What is left when nobody has called any store for a while.
    fn rest(&self) {
        self.health.end();
        println!("{BEGINS}the rest after all");
        let slack = Usage::slack(1);
        let patience = Instant::now() + self.settling;
        while !Usage::now().is_like(&self.first, slack) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(100));
        }
        let (first, last) = (self.first, Usage::now());
        if !last.is_like(&first, slack) {
            println!("{HARMED}the rest after all: {first:?} in the beginning, now {last:?}");
        }
    }

    fn say(&self, name: &str, observed: &Observed, allowed: &str) {
        let breaches = judge(observed, allowed);
        let mut outcomes = observed.outcomes.clone();
        outcomes.dedup();
        let Observed { took, neighbour, .. } = observed;
        let outcomes = outcomes.join(", ");
        match &breaches[..] {
            [] => println!("harmless {name}: {outcomes} ({took:.0?}, neighbour {neighbour:.0?})"),
            _ => println!("{HARMED}{name}: {}", breaches.join("; ")),
        }
    }
}
