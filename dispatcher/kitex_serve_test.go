package dispatcher

const serveEnv = "HOLDFAST_TEST_SERVE_LOGIC"

func serveForever(string) {}
