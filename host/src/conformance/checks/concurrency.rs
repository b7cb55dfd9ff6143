use super::super::outcome::under;
use super::super::subject::{Subject, Verdict};
use super::super::{Check, Group::Concurrency, Interface};
use super::expect::joined;

pub(super) const CHECKS: &[Check] = &[
    Check::new("every_call_after_an_ok_sees_the_change", Concurrency, &["change-2"], seen).direct(),
    Check::new("another_host_sees_the_change", Concurrency, &["change-2"], |_| Ok(()))
        .with_other(other_host)
        .direct(),
    Check::new("concurrent_puts_never_mix", Concurrency, &["change-6", "change-3"], puts),
    Check::new("puts_and_deletes_never_mix", Concurrency, &["change-6", "change-3"], deletes),
    Check::new("many_keys_at_once_are_all_stored", Concurrency, &["change-2"], many),
];

fn seen(s: &Subject) -> Verdict {
    for round in 0..20 {
        s.begin();
        let data = format!("generation {round}");
        s.ok("k", s.put("k", &data))?;
        // Several instances, of which at most one has seen the put.
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..4).map(|_| scope.spawn(|| s.holds("k", &data))).collect();
            readers.into_iter().try_for_each(joined)
        })?;
    }
    Ok(())
}

fn other_host(s: &Subject, other: &Subject) -> Verdict {
    for round in 0..10 {
        let (data, again) = (format!("first {round}"), format!("second {round}"));
        s.ok("k", s.put("k", &data))?;
        other.holds("k", &data)?;
        other.ok("k", other.put("k", &again))?;
        s.holds("k", &again)?;
        if s.offers(Interface::Inventory) {
            let size = s.ok("k", s.stat("k"))?.size;
            s.check(size == again.len() as u64, "the new size", format!("{size}"))?;
        }
        other.ok("k", other.delete("k"))?;
        s.absent("k")?;
    }
    Ok(())
}

const SIZE: usize = 150_000;

fn puts(s: &Subject) -> Verdict {
    s.ok("k", s.put("k", vec![0; SIZE]))?;
    std::thread::scope(|scope| {
        let writers: Vec<_> = (1..=4_u8)
            .map(|letter| {
                scope.spawn(move || {
                    (0..5).try_for_each(|_| s.ok("k", s.put("k", vec![letter; SIZE])))
                })
            })
            .collect();
        let reader = scope.spawn(|| (0..20).try_for_each(|_| one_of_them(s, false)));
        let mut threads = writers.into_iter().chain([reader]);
        threads.try_for_each(joined)
    })?;
    one_of_them(s, false)
}

fn deletes(s: &Subject) -> Verdict {
    std::thread::scope(|scope| {
        let changes: Vec<_> = (1..=3_u8)
            .map(|letter| {
                scope.spawn(move || {
                    (0..8).try_for_each(|_| {
                        s.ok("k", s.put("k", vec![letter; SIZE]))?;
                        s.ok("k", s.delete("k"))
                    })
                })
            })
            .collect();
        let reader = scope.spawn(|| (0..20).try_for_each(|_| one_of_them(s, true)));
        let mut threads = changes.into_iter().chain([reader]);
        threads.try_for_each(joined)
    })?;
    s.absent("k")
}

fn one_of_them(s: &Subject, may_be_absent: bool) -> Verdict {
    match s.get("k") {
        Err(kind) if may_be_absent => s.refused::<()>("k", Err(kind), &["not-found"]),
        answer => {
            let data = s.ok("k", answer)?;
            let is_one = data.len() == SIZE && data.iter().all(|byte| *byte == data[0]);
            let seen = format!("{} bytes of several", data.len());
            under("change-3", s.check(is_one, "the bytes of one put", seen))
        }
    }
}

fn many(s: &Subject) -> Verdict {
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|thread| {
                scope.spawn(move || {
                    (0..10).try_for_each(|n| {
                        let key = format!("{thread}/{n}");
                        s.ok(&key, s.put(&key, &key))
                    })
                })
            })
            .collect();
        writers.into_iter().try_for_each(joined)
    })?;
    for key in (0..8).flat_map(|thread| (0..10).map(move |n| format!("{thread}/{n}"))) {
        s.holds(&key, &key)?;
    }
    Ok(())
}
