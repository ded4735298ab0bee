//! The hub's and the mailboxes' mutex: parking_lot's. In tests it can be one whose schedules a model chooses.

#[cfg(not(test))]
pub(crate) use parking_lot::Mutex;

#[cfg(test)]
pub(crate) use self::modelled::{Mutex, in_model};

#[cfg(test)]
mod modelled {
    use std::cell::Cell;

    use parking_lot::MutexGuard;

    thread_local! {
        static IN_MODEL: Cell<bool> = const { Cell::new(false) };
    }

    /// Runs a model: shuttle runs all of a model's threads on this one, and each lock is a point where it chooses
    /// which goes on.
    pub(crate) fn in_model(run: impl FnOnce()) {
        IN_MODEL.set(true);
        run();
        IN_MODEL.set(false);
    }

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(parking_lot::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            if !IN_MODEL.get() {
                return self.0.lock();
            }
            loop {
                shuttle::thread::yield_now();
                if let Some(guard) = self.0.try_lock() {
                    return guard;
                }
            }
        }
    }
}
