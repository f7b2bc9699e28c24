// The fast kernel is being widened to all options; until it is, the plain one answers.
extension STPN { func runFast(_ job: Job) -> Int? { runPlain(job) } }
extension FastWeights { func runFast(_ job: Job) -> Int? { runPlain(job) } }
extension Modulated { func runFast(_ job: Job) -> Int? { runPlain(job) } }
