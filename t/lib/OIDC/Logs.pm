package OIDC::Logs;

# What an nginx of the tests has written, and the assertions about it: nothing bad, and nothing secret in any log.

use strict;
use warnings;

use Test::More ();

my (%secrets, @collectors);

# ---- secrets --------------------------------------------------------------------------------------------------------

# Registers texts that must never be seen in a log. Short ones would be found by chance.
sub secret {
    $secrets{$_} = 1 for grep { defined && length >= 10 } @_;
}

# For the rare test that puts a secret into a log itself.
sub not_secret { delete @secrets{@_} }

# Code that is asked for secrets before logs are searched (the provider makes its own in another process).
sub collect_secrets { push @collectors, shift }

sub all_secrets {
    secret($_->()) for @collectors;
    return keys %secrets;
}

# ---- logs -----------------------------------------------------------------------------------------------------------

sub error_log { return OIDC::Nginx::slurp("$_[0]{dir}/error.log") }
sub access_log { my ($self, $name) = @_; return OIDC::Nginx::slurp("$self->{dir}/" . ($name // 'access.log')) }

# Bytes of the error log so far; with log_since it gives what one step wrote.
sub log_mark { return length $_[0]->error_log }
sub log_since { my ($self, $mark) = @_; return substr $self->error_log, $mark }

# nginx writes the log before or after the answer: so the line may be a moment late.
sub wait_log {
    my ($self, $pattern, $mark) = @_;
    return OIDC::Nginx::wait_until(sub { $self->log_since($mark // 0) =~ $pattern });
}

sub log_like {
    my ($self, $pattern, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return 1 if $self->wait_log($pattern) && Test::More::pass($name // "log has $pattern");
    return Test::More::like($self->error_log, $pattern, $name // "log has $pattern");
}

# Everything that nginx and tools around it have written.
sub log_files {
    my ($self) = @_;
    return map { [$_ => OIDC::Nginx::slurp($_)] } glob "$self->{dir}/*.log";
}

sub alerts {
    my ($self) = @_;
    my @bad = grep { m{^(?:[\d/]+ [\d:]+|nginx:) \[(?:alert|emerg)\]} } split /\n/, $self->error_log;
    for my $pattern (@{ $self->{allowed} }) { @bad = grep { $_ !~ $pattern } @bad }
    return @bad;
}

sub tool_errors {
    my ($self) = @_;
    my @bad;
    for my $log ($self->log_files) {
        push @bad, grep { /Sanitizer|runtime error:/ && !/ngx_string\.c.*null pointer/ } split /\n/, $log->[1];
        push @bad, "$log->[0]:\n" . substr($log->[1], 0, 4000) if $log->[0] =~ /valgrind/ && $log->[1] =~ /^==\d+==.* at 0x/m;
    }
    return @bad;
}

# nginx's own debug lines show headers and bodies, over several lines: at debug level only those of ours are searched.
sub leaks {
    my ($self) = @_;
    my ($pattern) = map { qr/$_/ } join '|', map { quotemeta } sort { length $b <=> length $a } all_secrets();
    return unless %secrets;
    my @bad;
    for my $log ($self->log_files) {
        next if $log->[1] !~ $pattern;
        push @bad, map { "$log->[0]: $_" } grep { $_ =~ $pattern && (!/\[debug\]/ || /\[debug\] \d+#\d+: (?:\*\d+ )?(?:auth_)?oidc/) }
            split $log->[0] =~ /error\.log$/ ? qr/\n(?=\d{4}\/\d\d\/\d\d )/ : qr/\n/, $log->[1];
    }
    return @bad;
}

sub assert_clean {
    my ($self) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    report('no alert and no emerg in the error log', $self->alerts);
    report('no error of a sanitizer or of valgrind', $self->tool_errors);
    report('no secret in any log', $self->leaks);
}

sub report {
    my ($name, @bad) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 2;
    Test::More::ok(!@bad, $name) or Test::More::diag(join "\n", @bad > 10 ? (@bad[0 .. 9], '...') : @bad);
}

1;
