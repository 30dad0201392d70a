//! Failures of a preparation on demand, for the test that a reload which fails changes nothing, whatever step it fails at.
//! A program that is built for use has none of it.

/// The variable that names a file with the number of the step that fails.
const VARIABLE: &str = "LB_TEST_FAILING_STEP";

/// The steps of one preparation.
pub(super) struct Faults {
    /// How many more may be taken; `None`: all.
    left: Option<u32>,
}

impl Faults {
    /// As a test may have asked for it.
    pub(super) fn on_demand() -> Faults {
        let asked = || std::fs::read_to_string(std::env::var_os(VARIABLE)?).ok()?.trim().parse().ok();
        Faults { left: if cfg!(debug_assertions) { asked() } else { None } }
    }

    /// A step has been taken.
    ///
    /// # Errors
    /// When it is the one that is to fail.
    pub(super) fn step(&mut self) -> anyhow::Result<()> {
        match &mut self.left {
            Some(0) => anyhow::bail!("a test has this step fail"),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(())
    }
}
