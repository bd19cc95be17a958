//! The platform's decisions, told as stories.

use super::*;
use scrimmage_core::Rng;

use crate::run_model::RunEntry;

fn at(seconds: u64) -> Timestamp {
    Timestamp::EPOCH + Duration::from_secs(seconds)
}

fn engine(change: impl Fn(&mut RunModel)) -> Engine {
    let mut model = RunEntry::default().model(1).expect("the defaults are good");
    change(&mut model);
    Engine::new(model)
}

fn up(change: impl Fn(&mut RunModel)) -> Engine {
    let mut engine = engine(change);
    let started: Vec<InstanceId> = engine.bring_up(at(0)).into_iter().filter_map(started).collect();
    for id in started {
        engine.ready(at(0), id);
    }
    engine
}

fn started(effect: Effect) -> Option<InstanceId> {
    match effect {
        Effect::Start(id) => Some(id),
        _ => None,
    }
}

fn route(request: u64, instance: u64) -> Effect {
    Effect::Route(RequestId(request), InstanceId(instance))
}

fn refuse(request: u64, refusal: Refusal) -> Effect {
    Effect::Refuse(RequestId(request), refusal)
}

const START_2: Effect = Effect::Start(InstanceId(2));

#[test]
fn requests_go_to_the_least_loaded_instance() {
    let mut engine = up(|model| (model.min_instances, model.max_instances) = (2, 2));
    assert_eq!(engine.arrive(at(1)).1, [route(1, 1)]);
    assert_eq!(engine.arrive(at(1)).1, [route(2, 2)]);
    assert_eq!(engine.arrive(at(1)).1, [route(3, 1)]);
    engine.finished(at(2), RequestId(1), true);
    engine.finished(at(2), RequestId(3), true);
    assert_eq!(engine.arrive(at(2)).1, [route(4, 1)], "idle, though it has served more");
    assert_eq!(engine.arrive(at(2)).1, [route(5, 2)], "as loaded as the other, and less used");
}

#[test]
fn a_full_service_starts_another_instance_up_to_its_maximum() {
    let mut engine = up(|model| (model.concurrency, model.max_instances) = (1, 2));
    assert_eq!(engine.arrive(at(1)).1, [route(1, 1)]);
    assert_eq!(engine.arrive(at(1)).1, [START_2]);
    assert_eq!(engine.arrive(at(1)).1, [], "two is the maximum");
    assert_eq!(engine.ready(at(2), InstanceId(2)), [route(2, 2)]);
    assert_eq!(engine.finished(at(3), RequestId(1), true), [route(3, 1)]);
}

#[test]
fn as_many_are_started_as_the_waiting_need() {
    let mut engine = up(|model| (model.min_instances, model.max_instances, model.concurrency) = (0, 9, 2));
    engine.terminate(at(0));
    engine.ended(at(0), InstanceId(1));
    engine.bring_up(at(1));
    for _ in 0..4 {
        engine.arrive(at(1));
    }
    assert_eq!(engine.alive(), 2, "two requests wait for each");
    engine.arrive(at(1));
    assert_eq!(engine.alive(), 3);
}

#[test]
fn who_waits_too_long_gets_429() {
    let mut engine = up(|model| model.concurrency = 1);
    engine.arrive(at(1));
    assert_eq!(engine.arrive(at(2)).1, []);
    assert_eq!(engine.due(), Some(at(12)));
    assert_eq!(engine.tick(at(11)), []);
    assert_eq!(engine.tick(at(12)), [refuse(2, Refusal::NoCapacity)]);
}

#[test]
fn a_full_queue_answers_429_at_once() {
    let mut engine = up(|model| (model.concurrency, model.queue_size) = (1, 1));
    engine.arrive(at(1));
    assert_eq!(engine.arrive(at(1)).1, []);
    assert_eq!(engine.arrive(at(1)).1, [refuse(3, Refusal::NoCapacity)]);
}

#[test]
fn an_instance_that_is_starting_is_waited_for() {
    let mut engine = up(|model| (model.concurrency, model.max_instances) = (1, 2));
    engine.arrive(at(1));
    engine.arrive(at(1));
    assert_eq!(engine.tick(at(30)), [], "longer than the queue's ten seconds");
    assert_eq!(engine.ready(at(31), InstanceId(2)), [route(2, 2)]);
}

#[test]
fn a_cold_start_takes_its_time_even_where_the_process_is_quick() {
    let mut engine = up(|model| {
        (model.min_instances, model.idle, model.cold_start) = (0, Duration::from_secs(5), Duration::from_secs(3));
    });
    assert_eq!(engine.tick(at(5)), [Effect::Terminate(InstanceId(1))]);
    engine.ended(at(5), InstanceId(1));
    assert_eq!(engine.arrive(at(10)).1, [START_2]);
    assert_eq!(engine.ready(at(11), InstanceId(2)), []);
    assert_eq!(engine.due(), Some(at(13)));
    assert_eq!(engine.tick(at(13)), [route(1, 2)]);
}

#[test]
fn an_idle_service_scales_to_zero_and_a_busy_one_does_not() {
    let mut engine = up(|model| (model.min_instances, model.idle) = (0, Duration::from_secs(60)));
    engine.arrive(at(1));
    assert_eq!(engine.tick(at(100)), [], "it works");
    engine.finished(at(100), RequestId(1), true);
    assert_eq!(engine.due(), Some(at(160)));
    assert_eq!(engine.tick(at(160)), [Effect::Terminate(InstanceId(1))]);
    assert_eq!(engine.alive(), 0);
}

#[test]
fn idle_instances_go_down_to_the_minimum_newest_first() {
    let mut engine = up(|model| (model.min_instances, model.max_instances, model.concurrency) = (1, 3, 1));
    for _ in 0..3 {
        engine.arrive(at(1));
    }
    engine.ready(at(2), InstanceId(2));
    engine.ready(at(2), InstanceId(3));
    for request in 1..=3 {
        engine.finished(at(3), RequestId(request), true);
    }
    let idle = at(3) + Duration::from_secs(900);
    assert_eq!(engine.tick(idle), [Effect::Terminate(InstanceId(3)), Effect::Terminate(InstanceId(2))]);
    assert_eq!(engine.due().map(|due| due.since(idle)), Some(Duration::from_secs(10)), "then the grace ends");
}

#[test]
fn who_does_not_heed_a_sigterm_is_killed_after_the_grace() {
    let mut engine = up(|_| {});
    assert_eq!(engine.terminate(at(1)), [Effect::Terminate(InstanceId(1))]);
    assert_eq!(engine.tick(at(10)), []);
    assert_eq!(engine.tick(at(11)), [Effect::Kill(InstanceId(1))]);
    assert_eq!(engine.tick(at(12)), [], "once");
    assert!(engine.ended(at(12), InstanceId(1)).is_empty() && engine.is_empty());
}

#[test]
fn a_late_answer_is_a_504_and_the_place_is_free_again() {
    let mut engine = up(|model| model.concurrency = 1);
    engine.arrive(at(0));
    engine.arrive(at(295));
    assert_eq!(engine.tick(at(300)), [refuse(1, Refusal::TimedOut), route(2, 1)]);
    assert_eq!(engine.finished(at(301), RequestId(1), true), [], "the caller has gone");
}

#[test]
fn a_crash_is_replaced_at_once_and_a_crash_loop_is_not() {
    let mut engine = up(|_| {});
    assert_eq!(engine.ended(at(1), InstanceId(1)), [START_2]);
    engine.ready(at(1), InstanceId(2));
    assert_eq!(engine.ended(at(2), InstanceId(2)), []);
    assert_eq!(engine.arrive(at(2)).1, [refuse(1, Refusal::NoInstance)]);
    assert_eq!(engine.due(), Some(at(3)));
    assert_eq!(engine.tick(at(3)), [Effect::Start(InstanceId(3))]);
    engine.ready(at(3), InstanceId(3));
    engine.arrive(at(4));
    engine.finished(at(4), RequestId(2), true);
    assert_eq!(engine.ended(at(5), InstanceId(3)), [Effect::Start(InstanceId(4))], "it had served: a first crash");
}

#[test]
fn an_instance_that_does_not_come_up_fails_those_that_wait_for_it() {
    let mut engine = up(|model| (model.min_instances, model.idle) = (0, Duration::from_secs(1)));
    engine.tick(at(1));
    engine.ended(at(1), InstanceId(1));
    assert_eq!(engine.arrive(at(2)).1, [START_2]);
    assert_eq!(engine.ended(at(3), InstanceId(2)), [refuse(1, Refusal::NoInstance)]);
    assert_eq!(engine.arrive(at(4)).1, [Effect::Start(InstanceId(3))], "the next request tries again");
}

#[test]
fn a_service_that_is_down_refuses_and_starts_nothing() {
    let mut engine = up(|model| (model.min_instances, model.max_instances, model.concurrency) = (2, 2, 1));
    for _ in 0..3 {
        engine.arrive(at(1));
    }
    let killed = engine.kill(at(2));
    assert_eq!(killed[0], refuse(3, Refusal::NoInstance), "it waited");
    assert_eq!(killed[1..], [Effect::Kill(InstanceId(1)), Effect::Kill(InstanceId(2))]);
    assert_eq!(engine.ended(at(2), InstanceId(1)), []);
    assert_eq!(engine.arrive(at(2)).1, [refuse(4, Refusal::NoInstance)]);
    assert_eq!(engine.finished(at(2), RequestId(1), false), [], "its connection broke");
    assert_eq!(engine.bring_up(at(3)).len(), 2, "the one that is still stopping does not count");
}

#[test]
fn the_busiest_crashes() {
    let mut engine = up(|model| (model.min_instances, model.max_instances) = (2, 2));
    assert_eq!(engine.crash_one(), Some(Effect::Kill(InstanceId(1))));
    engine.arrive(at(1));
    engine.arrive(at(1));
    engine.arrive(at(1));
    engine.finished(at(1), RequestId(1), true);
    engine.finished(at(1), RequestId(3), true);
    assert_eq!(engine.crash_one(), Some(Effect::Kill(InstanceId(2))));
}

/// Whatever happens: bounds are kept, nothing is lost, and time never stands still.
#[test]
fn a_random_walk_keeps_the_promises() {
    for seed in 0..200 {
        walk(seed);
    }
}

fn walk(seed: u64) {
    let mut rng = Rng::stream(seed, "run model");
    let mut below = |bound: u64| rng.below(bound);
    let mut engine = engine(|_| {});
    engine.model.min_instances = below(3) as usize;
    engine.model.max_instances = (engine.model.min_instances.max(1) as u64 + below(3)) as usize;
    engine.model.concurrency = 1 + below(3) as usize;
    engine.model.cold_start = Duration::from_secs(below(4));
    engine.model.idle = Duration::from_secs(1 + below(30));
    engine.model.timeout = Duration::from_secs(5 + below(30));
    let mut now = at(0);
    let (mut open, mut running, mut instances) = (Vec::new(), Vec::new(), Vec::new());
    let mut effects = engine.bring_up(now);
    for _ in 0..300 {
        for effect in effects.drain(..) {
            match effect {
                Effect::Start(id) => instances.push(id),
                Effect::Terminate(_) | Effect::Kill(_) => {}
                Effect::Route(request, _) => {
                    assert!(open.contains(&request) && !running.contains(&request), "seed {seed}: routed once");
                    running.push(request);
                }
                Effect::Refuse(request, _) => {
                    assert!(open.contains(&request), "seed {seed}: answered once");
                    open.retain(|one| *one != request);
                    running.retain(|one| *one != request);
                }
            }
        }
        assert!(engine.alive() <= engine.model.max_instances, "seed {seed}");
        for id in &instances {
            let load = engine.instances.get(id).map_or(0, |one| one.running);
            assert!(load <= engine.model.concurrency, "seed {seed}");
        }
        assert_eq!(engine.waiting.len() + engine.running.len(), open.len(), "seed {seed}: none is lost");
        effects = match below(8) {
            0 | 1 => {
                let (request, effects) = engine.arrive(now);
                open.push(request);
                effects
            }
            2 if !running.is_empty() => {
                let request = running.swap_remove(below(running.len() as u64) as usize);
                open.retain(|one| *one != request);
                engine.finished(now, request, true)
            }
            3 if !instances.is_empty() => {
                let id = instances[below(instances.len() as u64) as usize];
                engine.ready(now, id)
            }
            4 if !instances.is_empty() && below(3) == 0 => {
                let id = instances.swap_remove(below(instances.len() as u64) as usize);
                // Its connections break with it.
                let broken: Vec<RequestId> =
                    engine.running.iter().filter(|(_, run)| run.instance == id).map(|(request, _)| *request).collect();
                let mut effects = engine.ended(now, id);
                for request in broken {
                    running.retain(|one| *one != request);
                    open.retain(|one| *one != request);
                    effects.extend(engine.finished(now, request, false));
                }
                effects
            }
            5 if below(20) == 0 => engine.kill(now),
            5 if below(10) == 0 => engine.terminate(now),
            5 if engine.is_down => engine.bring_up(now),
            _ => match engine.due() {
                Some(due) => {
                    now = now.max(due);
                    let effects = engine.tick(now);
                    assert!(engine.due().is_none_or(|next| next > now), "seed {seed}: time stands still");
                    effects
                }
                None => Vec::new(),
            },
        };
    }
}
