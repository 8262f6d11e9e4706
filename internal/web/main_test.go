package web_test

import (
	"testing"

	"kith/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
