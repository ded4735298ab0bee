//! An error and its sources, as one line.

use std::error::Error;
use std::fmt;

/// Shows an error and its sources, `: ` between them.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    Chain(error)
}

struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // some errors repeat the text of their source
            if text != last {
                write!(f, ": {text}")?;
            }
            (last, cause) = (text, error.source());
        }
        Ok(())
    }
}
