#include "model/char_class.h"

#include <utf8proc.h>

namespace moesaic::model {
namespace {

utf8proc_category_t Category(char32_t value) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(value));
}

}  // namespace

bool IsWordCharacter(char32_t value) {
  const utf8proc_category_t category = Category(value);
  const bool letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
  // Other_Alphabetic outside the categories named here: circled and squared Latin letters.
  const bool circled =
      (value >= 0x24B6 && value <= 0x24E9) || (value >= 0x1F130 && value <= 0x1F149) ||
      (value >= 0x1F150 && value <= 0x1F169) || (value >= 0x1F170 && value <= 0x1F189);
  return letter || IsMark(value) || category == UTF8PROC_CATEGORY_ND ||
         category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_PC || circled ||
         value == 0x200C || value == 0x200D;
}

bool IsPunctuation(char32_t value) {
  const bool ascii = (value >= '!' && value <= '/') || (value >= ':' && value <= '@') ||
                     (value >= '[' && value <= '`') || (value >= '{' && value <= '~');
  const utf8proc_category_t category = Category(value);
  return ascii || (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO);
}

bool IsNumeric(char32_t value) {
  const utf8proc_category_t category = Category(value);
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

bool IsMark(char32_t value) {
  const utf8proc_category_t category = Category(value);
  return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

}  // namespace moesaic::model
