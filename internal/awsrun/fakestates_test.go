package awsrun_test

type fakeExecution struct{}

func (f *fakeAWS) states(op string, in map[string]any) (any, error) { return nil, &apiFault{"x", op} }
