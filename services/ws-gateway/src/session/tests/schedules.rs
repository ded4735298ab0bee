//! Random schedules of ticks, mail, reads, clogged sockets and changed grants: a session gets every reading once, in order, that
//! its grant allowed at the reading's position.

use proptest::prelude::*;

use super::*;
use crate::fanout::{hub::Hub, mailbox::Mailbox};

/// A log of ticks, a hub that follows it, and one session that is driven as a socket would.
struct World {
    log: Vec<Arc<Batch>>,
    published: usize,
    hub: Hub,
    mailbox: Arc<Mailbox>,
    session: Session,
    out: Outbox,
    effects: Vec<Effect>,
    got: Vec<i64>,
    /// From behind which position what was granted: everything, or `s0`.
    grants: Vec<(Position, bool)>,
}

#[derive(Debug, Clone)]
enum Move {
    Commit(usize),
    Publish,
    TakeMail,
    Apply(usize),
    ReadSocket,
    Clog,
    LoseFeed,
    Grant(bool),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (1..4usize).prop_map(Move::Commit),
        6 => Just(Move::Publish),
        4 => Just(Move::TakeMail),
        6 => (0..3usize).prop_map(Move::Apply),
        3 => Just(Move::ReadSocket),
        1 => Just(Move::Clog),
        1 => Just(Move::LoseFeed),
        1 => any::<bool>().prop_map(Move::Grant),
    ]
}

impl World {
    fn new(window_bytes: usize) -> Self {
        let hub = Hub::new(window_bytes);
        hub.start_at(at(0, 0));
        let mut out = Outbox::default();
        let start = (at(0, 0), Instant::now());
        let (session, _) = Session::begin(opening(Protocol::V1, None), start, &mut out);
        Self {
            log: Vec::new(),
            published: 0,
            hub,
            mailbox: Mailbox::new(),
            session,
            out,
            effects: Vec::new(),
            got: Vec::new(),
            grants: vec![(Position::default(), true)],
        }
    }

    fn end(&self) -> Position {
        self.log.last().map_or(at(0, 0), |batch| batch.end)
    }

    fn commit(&mut self, rows: usize) {
        let (end, first) = (self.end(), self.end().id + 1);
        let ids: Vec<i64> = (first..first + rows as i64).collect();
        self.log.push(batch(end, end.tick.0 + 1, &ids));
    }

    fn copy(batch: &Arc<Batch>) -> Batch {
        let first = batch.end.id - batch.count() as i64 + 1;
        let ids: Vec<i64> = (first..=batch.end.id).collect();
        Arc::try_unwrap(super::batch(batch.predecessor, batch.end.tick.0, &ids)).unwrap()
    }

    fn publish(&mut self) {
        if let Some(batch) = self.log.get(self.published) {
            self.hub.publish(Arc::new(Self::copy(batch)));
            self.published += 1;
        }
    }

    fn take_mail(&mut self) {
        let mail = self.mailbox.take();
        for delivery in &mail.deliveries {
            self.effects.extend(self.session.on_delivery(delivery, now().1, &mut self.out));
        }
        if mail.overflowed {
            self.session.on_overflow();
        }
    }

    fn grant(&mut self, everything: bool) {
        let sent = self.session.subscriptions.first().map_or(Position::default(), |own| own.sent);
        self.grants.push((sent, everything));
        let read = if everything { Scope::all() } else { Scope::parse(&["s0"]).unwrap() };
        self.effects.extend(self.session.regrant(Arc::new(grant(read)), &self.out));
    }

    /// Whether a reading was granted at its position.
    fn is_granted(&self, position: Position) -> bool {
        let at = self.grants.iter().rposition(|(from, _)| *from < position);
        at.is_some_and(|at| self.grants[at].1) || position.id % 3 == 0
    }

    /// Applies one effect. Attaching and detaching are immediate in a socket, so they go first here too.
    fn apply(&mut self, which: usize) {
        let immediate = |effect: &Effect| matches!(effect, Effect::Attach { .. } | Effect::Detach { .. });
        let at = self.effects.iter().position(immediate).unwrap_or(which);
        if at >= self.effects.len() {
            return;
        }
        let more = match self.effects.remove(at) {
            Effect::Attach { sub, filter, after } => {
                let attach = self.hub.attach(&self.mailbox, sub, &filter, after);
                self.session.on_attach(sub, attach, now().1, &mut self.out)
            }
            Effect::Detach { sub } => {
                self.hub.detach(self.mailbox.session, sub);
                Vec::new()
            }
            Effect::Resolve { sub, from, .. } => {
                self.session.on_resolve(sub, Resume::From(from), &mut self.out)
            }
            Effect::Read { sub, after } => {
                let page: Vec<_> =
                    self.log.iter().filter(|batch| batch.end > after).take(2).cloned().collect();
                let covered = page.last().map_or(after, |batch| batch.end);
                self.session.on_page(sub, (&page, covered), now().1, &mut self.out)
            }
            Effect::Snapshot { .. } | Effect::Since { .. } | Effect::Identify { .. } | Effect::Close(_) => {
                panic!("not expected here")
            }
        };
        self.effects.extend(more);
    }

    fn read_socket(&mut self) {
        self.got.extend(ids(&messages(&mut self.out)));
        if self.session.is_paused() {
            self.effects.extend(self.session.on_moment(now().1, &mut self.out));
        }
    }

    fn play(&mut self, step: &Move) {
        match step {
            Move::Commit(rows) => self.commit(*rows),
            Move::Publish => self.publish(),
            Move::TakeMail => self.take_mail(),
            Move::Apply(which) => self.apply(*which),
            Move::ReadSocket => self.read_socket(),
            Move::Clog => {
                self.out.push([&[0x8a, 127, 0, 0, 0, 0, 0, 0x10, 0, 0][..], &vec![0; 1 << 20]].concat())
            }
            Move::Grant(everything) => self.grant(*everything),
            Move::LoseFeed => {
                self.published = self.log.len();
                self.hub.start_at(self.end());
            }
        }
        while self
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Attach { .. } | Effect::Detach { .. }))
        {
            self.apply(0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_session_gets_everything_it_wants_once_and_in_order(
        schedule in prop::collection::vec(moves(), 1..120),
        begin in 0..60usize,
        window_bytes in prop_oneof![Just(1usize), Just(400), Just(1 << 20)],
        only_s0 in any::<bool>(),
        resumes in any::<bool>(),
    ) {
        let mut world = World::new(window_bytes);
        let mut from = None;
        for (number, step) in schedule.iter().chain(&vec![Move::Publish; 3]).enumerate() {
            if number == begin.min(schedule.len()) {
                let start = if resumes { world.end() } else { world.hub.head().unwrap() };
                from = Some(start);
                let sensors = if only_s0 { r#""sensors":["s0","s0*"],"# } else { "" };
                let start = if resumes { start.to_string() } else { "now".to_owned() };
                let text = format!(r#"{{"id":1,"subscribe":{{{sensors}"from":"{start}"}}}}"#);
                let effects = world.session.on_text(&text, now(), &mut world.out);
                world.effects.extend(effects);
                // a subscription from now is attached before anything else happens
                while world.effects.iter().any(|effect| matches!(effect, Effect::Attach { .. })) {
                    world.apply(0);
                }
            }
            world.play(step);
        }
        world.commit(1);
        for _ in 0..world.log.len() + 400 {
            for step in [Move::Publish, Move::TakeMail, Move::ReadSocket, Move::Apply(0)] {
                world.play(&step);
            }
        }
        let from = from.expect("the subscription was made");
        let all = world.log.iter().flat_map(|batch| {
            let first = batch.end.id - batch.count() as i64 + 1;
            (first..=batch.end.id).map(|id| at(batch.end.tick.0, id))
        });
        let wanted = all.filter(|at| at.id > from.id && (!only_s0 || at.id % 3 == 0) && world.is_granted(*at));
        let wanted: Vec<i64> = wanted.map(|at| at.id).collect();
        prop_assert_eq!(world.got, wanted);
    }
}
