package pgtest_test

import (
	"testing"

	"kith/internal/postgres"
	"kith/internal/postgres/pgtest"
	"kith/migrations"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	one, two := pgtest.New(t), pgtest.New(t)
	if one.Name == two.Name {
		t.Fatal("the same database")
	}
	if _, err := one.Pool(t, "admin").Exec(t.Context(), `CREATE TABLE kith.only_here (id int)`); err != nil {
		t.Fatal(err)
	}
	var there bool
	err := two.Pool(t, "admin").QueryRow(t.Context(), `SELECT to_regclass('kith.only_here') IS NOT NULL`).Scan(&there)
	if err != nil || there {
		t.Errorf("a table of one test is seen by another: %v, %v", there, err)
	}
	v, err := postgres.SchemaVersion(t.Context(), one.Pool(t, "kith_app"), migrations.FS)
	if err != nil || !v.Current() {
		t.Errorf("%+v, %v", v, err)
	}
}

// A pool outlives its server's death without being opened again.
func TestOwnServer(t *testing.T) {
	t.Parallel()
	srv := pgtest.NewServer(t)
	pool := srv.New(t).Pool(t, "app")
	srv.Kill()
	if err := pool.Ping(t.Context()); err == nil {
		t.Error("a dead server answers")
	}
	if err := srv.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := pool.Ping(t.Context()); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		pgtest.New(b)
	}
}
