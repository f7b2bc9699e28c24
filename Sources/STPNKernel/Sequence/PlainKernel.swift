extension Equations {
    /// The plain kernel's answer to a job; see `SequenceKernel.perform`.
    static func run(_ cell: Description, _ job: Job) -> Int? {
        PlainSequence<Self>(cell, batch: job.batch, time: job.time).perform(job.work)
    }
}
