//! The hub's and the mailboxes' mutex: parking_lot's, or in the model of their meeting (feature `model`) shuttle's,
//! which tries the orders in which threads may come to it.

#[cfg(not(feature = "model"))]
pub(crate) use parking_lot::Mutex;

#[cfg(feature = "model")]
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

#[cfg(feature = "model")]
impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
        self.0.lock().expect("no thread of the model panics with the lock")
    }
}
