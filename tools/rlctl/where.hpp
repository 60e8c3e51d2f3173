/// \file
/// What keys are to be shown, as one types it: `denied>100 and policy=api`.
///
///     condition  FIELD = VALUE, or != < <= > >= ~; of a field that is yes or no, the FIELD alone
///     together   not CONDITION, then CONDITION and CONDITION, then CONDITION or CONDITION; ( )
///     FIELD      tools/rlctl/key_fields.hpp
///     VALUE      of a text: a word, or anything in "" or '' (a quote in it twice), as it is shown; ~
///                takes a glob. Of a number: 500, 64k or 1M. Of a duration: 90s, now or never. Else
///                one of the field's words.
///
/// Two values only: `!=` is true whenever `=` is not, also of a key whose text nobody knows.
#pragma once

#include <memory>
#include <string_view>

#include <rl/segment.hpp>

#include "tools/rlctl/key_fields.hpp"

namespace rl::ctl {

/// A condition on a key's row. Cheap to copy. Threads: any, at once.
class Where {
 public:
  /// Reads a condition. Errors: Error (bad_option), one sentence with the place, as "--where: at
  /// 14: ...", counted in characters from 1.
  explicit Where(std::string_view text);

  /// Whether it holds. Cost: at most one look at each condition in the text.
  [[nodiscard]] bool operator()(const KeyInfo& row) const;
  /// Whether it says anything of that field.
  [[nodiscard]] bool asks_for(KeyField field) const;

  struct Term;

 private:
  std::shared_ptr<const Term> root_;
};

}  // namespace rl::ctl
